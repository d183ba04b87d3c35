// Package appliance is the whole fax appliance: configuration, wiring and supervision of lines, mail, queue, status
// page and local control. [Run] is `tipring serve`, [Demo] is `tipring demo`.
package appliance

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/routing"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/appliance/web"
	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/smtpstack/message"
	"github.com/tipring/tipring/smtpstack/receive"
	"github.com/tipring/tipring/smtpstack/resolve"
	"github.com/tipring/tipring/smtpstack/srs"
)

// Deps are what Run takes from outside. Every field has a default.
type Deps struct {
	Version  string
	Log      *slog.Logger         // nil: nothing is logged
	Open     OpenFunc             // opens a line's modem; nil: the modem on its serial port
	Ports    modem.Ports          // where serial ports are looked for; the zero value: this machine
	Render   gateway.RenderFunc   // makes documents; nil: a child process of this binary (`tipring render`)
	Deliver  gateway.DeliverFunc  // sends mail; nil: SMTP as configured
	Resolver resolve.Resolver     // asks DNS; nil: the system's servers
	HTTP     *http.Client         // asks Microsoft Graph and its token endpoint; nil: one with usual time limits
	Dialer   DialFunc             // opens the connections of the send connectors; nil: the network
	Roots    *x509.CertPool       // authorities that mail servers' certificates are held against; nil: the system's
	Policy   *queue.Policy        // retries; nil: the configuration's
	Dial     *queue.DialRule      // redial law; nil: the configuration's country
	Cold     bool                 // leave the PDF engine to be compiled for the first PDF, not at the start
	Ready    func(app *Appliance) // called once when everything listens; may be nil; must not block
}

// DialFunc opens a connection to host:port.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// Appliance is a running appliance. It implements [control.Appliance].
type Appliance struct {
	cfg        Config
	d          Deps
	log        *slog.Logger
	started    time.Time
	st         *store.Store
	q          *queue.Queue
	alarms     *gateway.Alarms
	g          *gateway.Gateway
	people     *directory.Directory
	devices    *directory.Devices
	acme       *acmeCertificate                // nil: no connector has it
	watched    []*directory.Watched            // the directories beside the table
	recipients *directory.Chain                // looks up the addresses of routes; nil: nobody does
	lookup     *directory.Chain                // for people who want to know
	srs        *srs.Ring                       // nil: none
	callout    *callout                        // nil: none
	checks     map[string]*gateway.SenderCheck // of the receive connectors that demand proof
	dialTable  routing.DialTable               // of the configuration
	warm       func(context.Context) error     // compiles the PDF engine; nil: nothing to compile
	sup        *supervisor
	lines      []*line
	offers     *offers
	connectors []*connector // send connectors
	refused    refusals
	names      resolve.Resolver   // DNS
	keys       []*message.DKIMKey // that sign our mail
	testing    sync.Mutex         // held while a connector is tested
	smtp       []mailPort
	exchange   *receive.ExchangeOnline
	web        net.Listener
	socket     net.Listener
}

var _ control.Appliance = (*Appliance)(nil)

// deliverers is how many mails are on their way out at the same time.
const deliverers = 4

// stopTime is how long workers may take to end once they are asked to.
const stopTime = 15 * time.Second

// Run works the appliance until ctx ends, and then returns nil. It returns an error when it cannot start: a data
// folder in use, a port in use, a certificate that cannot be read.
func Run(ctx context.Context, cfg Config, d Deps) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	a := &Appliance{cfg: cfg, d: d, log: d.Log, started: time.Now()}
	defer a.close()
	if err := a.openStore(); err != nil {
		return err
	}
	if err := a.wire(); err != nil {
		return err
	}
	if err := a.listen(ctx); err != nil {
		return err
	}
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := a.start(work); err != nil {
		return err
	}
	if d.Ready != nil {
		d.Ready(a)
	}
	<-ctx.Done()
	a.log.Info("shutting down")
	cancel()
	if !a.sup.wait(stopTime) {
		a.log.Error("some workers did not end in time")
		return errors.New("appliance: shut down, but some workers did not end in time")
	}
	return nil
}

// openStore opens the data folder and puts right what the last run left open.
func (a *Appliance) openStore() error {
	if err := os.MkdirAll(a.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	st, err := store.Open(a.cfg.Data, store.Options{})
	if err != nil {
		return err
	}
	a.st = st
	o := queue.Options{Policy: retryPolicy(a.cfg.Retry), Dial: dialRule(a.cfg.Dial.Country), Domain: a.cfg.Hostname, Route: a.route, AlarmTo: a.operators()}
	if a.d.Policy != nil {
		o.Policy = *a.d.Policy
	}
	if a.d.Dial != nil {
		o.Dial = *a.d.Dial
	}
	q, rec, err := queue.Open(st, o)
	if err != nil {
		return err
	}
	a.q = q
	if a.alarms, err = gateway.OpenAlarms(st, a.mailAlarm); err != nil {
		return err
	}
	a.reportRecovery(rec)
	return nil
}

func (a *Appliance) reportRecovery(rec queue.Recovery) {
	for _, id := range rec.Resumed {
		a.log.Warn("job was on the line when the program stopped; it goes on at its first unconfirmed page", "job", id)
	}
	for _, id := range rec.Unknown {
		a.log.Warn("job was on the line when the program stopped; whether its last page arrived is not known", "job", id)
	}
	for _, id := range rec.Partial {
		a.log.Warn("fax was being received when the program stopped; its pages are delivered as an incomplete fax", "fax", id)
	}
	for _, f := range rec.Files {
		if !f.Missing {
			a.log.Info(f.String())
			continue
		}
		a.log.Error(f.String())
		a.alarms.Raise("file-missing", "A file of the spool is missing: "+f.Name+".",
			"Something removed files from the data folder, or the disk is failing. Check the disk; restore a backup if faxes are missing.")
	}
}

// operators get alarms by mail. Whoever gets the faxes is not bothered with modems.
func (a *Appliance) operators() []string {
	if a.cfg.Mail.Fallback == "" {
		return nil
	}
	return []string{a.cfg.Mail.Fallback}
}

// mailAlarm tells the operators of a new alarm; of those about mail only the status page tells.
func (a *Appliance) mailAlarm(al control.Alarm) {
	remedy := al.Remedy
	if strings.HasPrefix(al.Code, signInAlarmPrefix) {
		remedy = "see the status page" // the code is for whoever may sign in, not for who reads logs
	}
	a.log.Error("alarm", "code", al.Code, "text", al.Text, "remedy", remedy)
	if len(a.operators()) == 0 || isMailAlarm(al.Code) {
		return
	}
	err := a.q.AddAlarm(al.Code, queue.Alarm{Subject: al.Text, Text: al.Text + "\n\nWhat to do: " + al.Remedy})
	if err != nil {
		a.log.Error("alarm by mail", "err", err)
	}
}

// incoming is what routes look at.
func incoming(f queue.Fax) routing.Incoming {
	in := routing.Incoming{Dialed: f.Dialed, Subaddress: f.Subaddress, Caller: f.Caller, Line: f.Line}
	if in.Caller == "" {
		in.Caller = f.RemoteID
	}
	return in
}

// route finds the recipients of a received fax.
func (a *Appliance) route(tx *store.Tx, f queue.Fax) []string {
	to, err := routing.Recipients(tx, incoming(f), a.cfg.Routes.Default)
	if err != nil {
		a.log.Error("routes", "err", err)
		return a.cfg.Routes.Default
	}
	return to
}

// start starts the workers.
func (a *Appliance) start(ctx context.Context) error {
	a.sup = &supervisor{log: a.log, alarms: a.alarms}
	var servers []*receive.Server
	for _, p := range a.smtp {
		srv, err := a.receiver(p.connector)
		if err != nil {
			return err
		}
		servers = append(servers, srv)
	}
	for i, p := range a.smtp {
		srv, l := servers[i], p.Listener
		a.sup.wg.Go(func() {
			if err := srv.Serve(context.WithoutCancel(ctx), l); !errors.Is(err, receive.ErrServerClosed) {
				a.log.Error("mail port", "address", l.Addr(), "err", err)
				a.alarms.Raise("smtp-port/"+l.Addr().String(), fmt.Sprintf("Mail is no longer taken on %s: %v.", l.Addr(), err), "Restart the program.")
			}
		})
		a.sup.wg.Go(func() { a.shutReceiver(ctx, srv) })
	}
	if slices.ContainsFunc(a.cfg.Receive, func(r ReceiveConfig) bool { return slices.Contains(r.Networks, receive.ExchangeOnlineName) }) {
		a.sup.wg.Go(func() {
			a.exchange.Run(ctx, func(err error) { a.log.Warn("exchange-online ranges", "err", err) })
		})
	}
	a.sup.start(ctx, "send memory", func(ctx context.Context) error { return sendMemory{a.st}.housekeep(ctx) })
	a.watchDirectories(ctx)
	a.watchSignIns(ctx)
	if a.cfg.DNS.Validating {
		a.sup.start(ctx, "dns", a.watchDNS)
	}
	if a.acme != nil {
		a.sup.start(ctx, "acme", a.acme.run)
	}
	a.sup.start(ctx, "expand", a.g.Expand)
	a.sup.start(ctx, "prepare", a.g.Prepare)
	a.sup.start(ctx, "admit", a.g.Admit)
	a.sup.start(ctx, "summaries", a.g.Summaries)
	for i := range deliverers {
		a.sup.start(ctx, fmt.Sprintf("deliver %d", i+1), a.g.Deliver)
	}
	retention := queue.Retention{Jobs: time.Duration(a.cfg.Retention.Sent), Faxes: time.Duration(a.cfg.Retention.Received), Outs: time.Duration(a.cfg.Retention.Records), Calls: time.Duration(a.cfg.Retention.Records)}
	a.sup.start(ctx, "housekeeping", func(ctx context.Context) error { return a.g.Housekeep(ctx, retention) })
	if len(a.cfg.Offers) > 0 {
		a.sup.start(ctx, "offers", a.offers.run)
	}
	for _, l := range a.lines {
		a.sup.start(ctx, "line "+l.cfg.Name, l.run)
	}
	if a.warm != nil && !a.d.Cold {
		a.sup.wg.Go(func() {
			if err := a.warm(ctx); err != nil && ctx.Err() == nil {
				a.log.Warn("the PDF engine could not be compiled beforehand", "err", err)
			}
		})
	}
	a.sup.wg.Go(func() {
		if err := control.Serve(ctx, a.socket, a); err != nil {
			a.log.Error("control socket", "err", err)
		}
	})
	if a.web != nil {
		a.sup.wg.Go(func() { a.serveWeb(ctx) })
	}
	return nil
}

// shutReceiver lets the mails that are coming in finish when ctx ends.
func (a *Appliance) shutReceiver(ctx context.Context, srv *receive.Server) {
	<-ctx.Done()
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime/3)
	defer cancel()
	_ = srv.Shutdown(wait) // what is cut off was not acknowledged: its sender tries again
}

func (a *Appliance) serveWeb(ctx context.Context) {
	srv := &http.Server{Handler: web.Handler(a, a.log), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		WriteTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)}
	stop := context.AfterFunc(ctx, func() {
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if srv.Shutdown(wait) != nil {
			srv.Close()
		}
	})
	defer stop()
	if err := srv.Serve(a.web); !errors.Is(err, http.ErrServerClosed) {
		a.log.Error("status page", "err", err)
	}
}

// close gives back what Run opened, whatever that was.
func (a *Appliance) close() {
	for _, l := range []net.Listener{a.web, a.socket} {
		if l != nil {
			l.Close()
		}
	}
	for _, p := range a.smtp {
		p.Close()
	}
	if a.st != nil {
		a.st.Close()
	}
}

// SMTPAddrs returns the addresses mail is taken on.
func (a *Appliance) SMTPAddrs() []string {
	var list []string
	for _, l := range a.smtp {
		list = append(list, l.Addr().String())
	}
	return list
}

// WebAddr returns the address of the status page, "" if there is none.
func (a *Appliance) WebAddr() string {
	if a.web == nil {
		return ""
	}
	return a.web.Addr().String()
}

// openLines makes the lines; their modems are opened by their workers.
func (a *Appliance) openLines() {
	open := a.d.Open
	var book *portBook
	if open == nil {
		book = newPortBook(a.d.Ports, a.st, a.cfg.Lines, a.log)
		open = book.open
	}
	order := &hunt{}
	for _, c := range a.cfg.Lines {
		a.lines = append(a.lines, &line{cfg: c, hunt: order, prefix: c.dialPrefix(a.cfg.Dial.Prefix), open: open, ports: book, q: a.q, g: a.g, offers: a.offers, alarms: a.alarms,
			live: newLiveLine(c), log: a.log.With("line", c.Name)})
	}
}
