package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
)

// DemoOptions say how to run the demo. The zero value of a field is its default.
type DemoOptions struct {
	Data     string  // data folder; "": a temporary one, removed at the end
	SMTPAddr string  // default 127.0.0.1:2525
	WebAddr  string  // default 127.0.0.1:8080
	Speed    float64 // how much faster than time the telephone line runs; default 2
	Out      io.Writer
	Log      *slog.Logger // nil: nothing is logged
	Version  string
	Command  string             // how this program was called, for the lines to try; default tipring
	Render   gateway.RenderFunc // nil: a child process of this binary
	// Ready is told when the demo listens; may be nil.
	Ready func(*Appliance)
}

// Numbers of the demo's exchange.
const (
	demoSender   = "5550100"
	demoReceiver = "5550101"
	demoBusy     = "5550102"
	demoNoAnswer = "5550103"
	demoHost     = "demo.tipring.invalid"
	demoFax      = "fax.example.org"
	demoMailbox  = "you@example.org"
	demoSpeed    = 2
)

func (o DemoOptions) withDefaults() DemoOptions {
	if o.SMTPAddr == "" {
		o.SMTPAddr = "127.0.0.1:2525"
	}
	if o.WebAddr == "" {
		o.WebAddr = "127.0.0.1:8080"
	}
	if o.Speed <= 0 {
		o.Speed = demoSpeed
	}
	if o.Command == "" {
		o.Command = "tipring"
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	return o
}

// Demo runs the whole appliance on this machine until ctx ends: two virtual modems on one exchange, line "one" sends
// and line "two" receives, mail comes in by SMTP and goes out, by SMTP too, to a mail server of its own that writes
// each mail to the folder outbox. It faxes itself a first page at once.
func Demo(ctx context.Context, o DemoOptions) error {
	o = o.withDefaults()
	data, cleanUp, err := demoFolder(o.Data)
	if err != nil {
		return err
	}
	defer cleanUp()
	box, err := openOutbox(filepath.Join(data, "outbox"))
	if err != nil {
		return err
	}
	defer box.Close()

	ex := newDemoExchange(o.Speed)
	defer ex.exchange.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	policy := queue.DefaultPolicy().Faster(int(max(o.Speed, 1)))
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	deps := Deps{Version: o.Version, Log: o.Log, Open: ex.open, Render: o.Render, Policy: &policy, Cold: true, Dial: &queue.DialRule{Gap: time.Second},
		Ready: func(a *Appliance) {
			printDemo(o, a, box.dir)
			if o.Ready != nil {
				o.Ready(a)
			}
			watch.Go(func() { firstFax(ctx, a, o.Out) })
		}}
	return Run(ctx, demoConfig(o, data, box.Addr()), deps)
}

// demoFolder makes the data folder; a temporary one leaves nothing behind.
func demoFolder(given string) (dir string, cleanUp func(), err error) {
	if given != "" {
		if err := os.MkdirAll(given, 0o700); err != nil {
			return "", nil, fmt.Errorf("demo: %w", err)
		}
		return given, func() {}, nil
	}
	dir, err = os.MkdirTemp("", "tipring-demo-")
	if err != nil {
		return "", nil, fmt.Errorf("demo: %w", err)
	}
	return dir, func() { os.RemoveAll(dir) }, nil
}

func demoConfig(o DemoOptions, data, smartHost string) Config {
	c := Default()
	c.Data, c.Hostname, c.FaxDomains = data, demoHost, []string{demoFax}
	one, two := lineDefaults(), lineDefaults()
	one.Name, one.Device, one.Number, one.StationID, one.Header, one.Receive = "one", "virtual one", demoSender, demoSender, "Tipring demo", false
	two.Name, two.Device, two.Number, two.StationID, two.Header, two.Send = "two", "virtual two", demoReceiver, demoReceiver, "Tipring demo", false
	c.Lines = []LineConfig{one, two}
	c.Receive = []ReceiveConfig{{Name: "demo", Listen: []string{o.SMTPAddr}, Senders: []string{"*"}}}
	c.Send = []SendConfig{{Name: "outbox", Host: smartHost, TLS: "none"}}
	c.Mail.From, c.Mail.Fallback = "fax@"+demoFax, demoMailbox
	c.Routes.Default = []string{demoMailbox}
	c.Dial.Allow = []string{"*"}
	c.Web.Listen = o.WebAddr
	c.applyConnectorDefaults()
	return c
}

// demoExchange has the demo's modems by the names of their lines.
type demoExchange struct {
	exchange *virtual.Exchange
	modems   map[string]*virtual.Modem
}

func newDemoExchange(speed float64) demoExchange {
	ex := virtual.NewExchange(virtual.Options{Speed: speed})
	ex.Script(demoBusy, virtual.Busy)
	ex.Script(demoNoAnswer, virtual.NoAnswer)
	return demoExchange{ex, map[string]*virtual.Modem{
		"one": ex.NewModem(demoSender, virtual.ModemOptions{}),
		"two": ex.NewModem(demoReceiver, virtual.ModemOptions{}),
	}}
}

func (d demoExchange) open(ctx context.Context, c LineConfig) (t30.Terminal, io.Closer, error) {
	m := d.modems[c.Name]
	if m == nil {
		return nil, nil, fmt.Errorf("demo: no virtual modem for line %q", c.Name)
	}
	port, err := m.Open()
	if err != nil {
		return nil, nil, err
	}
	t, err := modem.New(ctx, port, modem.Options{})
	if err != nil {
		return nil, nil, err
	}
	return t, t, nil
}

func printDemo(o DemoOptions, a *Appliance, outbox string) {
	smtp := a.SMTPAddrs()[0]
	_, port, _ := net.SplitHostPort(smtp)
	fmt.Fprintf(o.Out, `Tipring demo: two virtual modems on one virtual telephone exchange.

  Mail in      smtp://%s        mail to NUMBER@%s becomes a fax
  Status page  http://%s/
  Mail out     %s

A first fax is on its way from line one (%s) to line two (%s). Try next:

  swaks --server 127.0.0.1 --port %s --from %s --to %s@%s --header "Subject: Hello" --body "My first fax"
  %s submit --data %s --to %s README.md

%s is always busy, %s never answers. Ctrl-C ends the demo.

`, smtp, demoFax, a.WebAddr(), outbox, demoSender, demoReceiver, port, demoMailbox, demoReceiver, demoFax,
		o.Command, a.cfg.Data, demoReceiver, demoBusy, demoNoAnswer)
}

const demoText = `This page was made of a mail, sent by line one and received by line two
of one appliance, over two software modems and a simulated telephone line.

Everything between is real: the mail's way into the queue, the page, its
compression, the Class 1 modem commands, the T.30 dialogue, and the mail
that brings you the received fax.
`

// firstFax hands over the first fax and tells when it has come through.
func firstFax(ctx context.Context, a *Appliance, w io.Writer) {
	job, err := a.Submit(ctx, control.Submission{To: demoReceiver, From: demoMailbox, Subject: "Welcome to Tipring", Text: demoText})
	if err != nil {
		fmt.Fprintln(w, "The first fax could not be handed over:", err)
		return
	}
	began := time.Now()
	fmt.Fprintf(w, "job %s: one page to %s\n", job.ID, demoReceiver)
	delivered := false
	for sent := false; !sent || !delivered; {
		changed := a.q.Changed()
		j, err := a.q.Job(queue.JobID(job.ID))
		if err == nil && j.State.Final() && !sent {
			sent = true
			fmt.Fprintln(w, strings.TrimSpace(fmt.Sprintf("job %s: %s %s", job.ID, j.State, j.Text)))
			if j.State != queue.Sent {
				return
			}
		}
		if list, err := a.q.Faxes(100); err == nil && !delivered {
			for _, f := range list {
				if !f.Delivered.IsZero() && f.Started.After(began) {
					delivered = true
					fmt.Fprintf(w, "received: fax %s, %d page(s), in the outbox and on http://%s/faxes/%s\n", f.ID, len(f.Pages), a.WebAddr(), f.ID)
				}
			}
		}
		if errors.Is(a.q.Wait(ctx, changed, time.Time{}), context.Canceled) {
			return
		}
	}
}
