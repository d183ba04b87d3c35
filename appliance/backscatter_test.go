package appliance

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/tipring/tipring/appliance/queue"
)

// forgedMails is how many mails of forged senders come in the backscatter run.
const forgedMails = 10_000

// forger makes senders up.
type forger struct{ *rand.Rand }

func (r forger) word() string {
	b := make([]byte, 3+r.IntN(12))
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[r.IntN(36)]
	}
	return string(b)
}

// sender is a reverse-path and what the From field says.
func (r forger) sender() (path, from string) {
	stranger := r.word() + "@" + r.word() + ".example"
	ours := []string{"anna@contoso.com", "anna@example.org", "fax@" + demoFax, demoReceiver + "@" + demoFax, "postmaster@" + demoFax, "fax@" + demoHost}[r.IntN(6)]
	switch r.IntN(7) {
	case 0:
		return "<>", "mailer-daemon@" + r.word() + ".example"
	case 1:
		return "<SRS0=" + r.word() + "=AB=contoso.com=" + r.word() + "@" + r.word() + ".example>", "anna@contoso.com"
	case 2:
		return "<bounces+SRS=" + r.word() + "=AB@fabrikam.com>", ours
	case 3:
		return "<" + ours + ">", ours
	case 4:
		return "<" + stranger + ">", ours
	case 5:
		return "<" + r.word() + "@fabrikam.com>", r.word() + "@fabrikam.com" // another tenant's own
	}
	return "<" + stranger + ">", stranger
}

// TestAbuse_Backscatter: ten thousand forged senders, from a network that is not allowed and from Microsoft's hosts by somebody
// else's tenant: nothing is faxed, nothing relayed, and nobody gets a notice.
func TestAbuse_Backscatter(t *testing.T) {
	t.Parallel()
	f := newFortress(t)
	const connections = 8
	var wg sync.WaitGroup
	for i := range connections {
		addr := []string{f.outside, f.exchange}[i%2]
		wg.Go(func() {
			r := forger{rand.New(rand.NewPCG(7, uint64(i)))}
			c := dialTalk(t, addr)
			for n := range forgedMails / connections {
				path, from := r.sender()
				text := letterFrom(from, fmt.Sprintf("%d.%d", i, n))
				if n%100 == 1 { // by the other tenant, whatever From says
					text = signed(t, text, f.theirs)
				}
				to := "<" + demoReceiver + "@" + demoFax + ">"
				if n%10 == 3 {
					to = "<" + r.word() + "@" + r.word() + ".example>"
				}
				if c.hand(path, to, text) {
					t.Errorf("from %s, %s, to %s: taken", path, from, to)
				}
			}
		})
	}
	wg.Wait()
	f.untouched()
}

// TestAbuse_NoticesAreCapped: a sender who is proven, and does not stop, is refused before the 250; what was accepted is told of,
// each once. Nor do mails to the postmaster become as many to the operator.
func TestAbuse_NoticesAreCapped(t *testing.T) {
	t.Parallel()
	const limit = 20
	f := newFortress(t, func(c *Config) {
		c.Lines[0].Send, c.Lines[0].Receive, c.Limits.MailsPerSender = false, true, limit
	})
	taken, postmaster := 0, 0
	c := dialTalk(t, f.exchange)
	for n := range 5 * limit {
		from, text := f.letter(f.exchange, fmt.Sprint("capped", n))
		if c.hand(from, "<"+demoReceiver+"@"+demoFax+">", text) {
			taken++
		}
		if c.hand("<"+fmt.Sprint("eve", n)+"@fabrikam.com>", "<postmaster@"+demoFax+">", letterFrom("eve@fabrikam.com", fmt.Sprint("hello", n))) {
			postmaster++
		}
	}
	if taken != limit || postmaster == 0 || postmaster > 30 {
		t.Errorf("%d mails of one sender taken, %d to the postmaster", taken, postmaster)
	}
	f.cancelAll()
	if n := f.with("X-Tipring-Outcome: "); n != limit {
		t.Errorf("%d notices", n)
	}
	if n := f.with("Mail to the postmaster"); n != postmaster {
		t.Errorf("%d mails to the operator, of %d", n, postmaster)
	}
}

// cancelAll cancels every job as soon as it waits for a line, and returns when all mail is out.
func (f *fortress) cancelAll() {
	f.t.Helper()
	eventually(f.t, "all mail is out", func() bool {
		for _, j := range f.jobs() {
			if j.State == queue.Waiting {
				_ = f.app.q.CancelJob(j.ID, "by hand") // final meanwhile: as good
			}
		}
		pending, err := f.app.q.PendingMails(0)
		c, err2 := f.app.q.Counters()
		return err == nil && err2 == nil && len(pending) == 0 && c.Active == 0 && c.OutWaiting == 0
	})
}

// TestAbuse_RepeatsAreOneFax: a mail that is handed in again, at the same time over many connections, and after a restart, is one
// fax; another one to the same number is another.
func TestAbuse_RepeatsAreOneFax(t *testing.T) {
	t.Parallel()
	f := newFortress(t, func(c *Config) { c.Lines[0].Send, c.Lines[0].Receive = false, true })
	burst := func() {
		t.Helper()
		lan := f.app.SMTPAddrs()[1]
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				c := dialTalk(t, lan)
				for n := range 5 {
					if !c.hand("<anna@example.org>", "<"+demoReceiver+"@"+demoFax+">", letterFrom("anna@example.org", fmt.Sprint("repeat", n))) {
						t.Errorf("connection %d: mail %d refused", i, n)
					}
				}
				c.conn.Close()
			})
		}
		wg.Wait()
		eventually(t, "all mails expanded", func() bool { pending, err := f.app.q.PendingMails(0); return err == nil && len(pending) == 0 })
	}
	for round := range 3 {
		burst()
		if n := len(f.jobs()); n != 5 {
			t.Errorf("round %d: %d jobs for 5 mails", round+1, n)
		}
		if round == 0 {
			f.cancelAll() // an ended fax is no reason to send it again
		}
		if round == 1 {
			f.stop()
			f.start()
		}
	}
	if n := f.with("X-Tipring-Outcome: "); n != 5 {
		t.Errorf("%d notices about 5 faxes", n)
	}
}
