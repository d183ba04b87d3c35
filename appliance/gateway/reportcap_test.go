package gateway

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

func TestReportCap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c reportCap
		count := func(address string, n int) (allowed int) {
			for range n {
				if c.allow(address, 3) {
					allowed++
				}
			}
			return allowed
		}
		if a, b := count("a", 10), count("b", 2); a != 3 || b != 2 {
			t.Errorf("%d and %d at once", a, b)
		}
		time.Sleep(59 * time.Minute)
		if n := count("a", 10) + count("b", 10); n != 1 {
			t.Errorf("%d within the hour", n)
		}
		time.Sleep(time.Minute)
		if n := count("a", 10); n != 3 {
			t.Errorf("%d an hour later", n)
		}
		for i := range 2 * maxReported {
			count(fmt.Sprint(i), 1)
		}
		if len(c.seen) > maxReported {
			t.Errorf("%d addresses remembered", len(c.seen))
		}
	})
}

// Refused mail without end: its sender and the operators get their share of reports, then an alarm says the rest.
func TestRelay_ReportsAreCapped(t *testing.T) {
	b := newBench(t, withRelay(nil))
	for range reportsToSender {
		b.g.reports.allow("scan@contoso.com", reportsToSender)
	}
	for range reportsToOperators - 1 {
		b.g.reports.allow("it@contoso.com", reportsToOperators)
	}
	for range 3 {
		b.replies["gone@contoso.com"] = append(b.replies["gone@contoso.com"], smtpstack.Reply{Code: 550, Enhanced: "5.1.1", Text: "unknown"})
		if _, err := b.hand(scan, "scan@contoso.com", "", "gone@contoso.com"); err != nil {
			t.Fatal(err)
		}
	}
	b.work()
	if list := b.g.alarms.List(); len(b.mails) != 1 || b.mails[0].to[0] != "it@contoso.com" || len(list) != 1 || list[0].Code != "relay-refused/lan" || list[0].Count != 2 {
		t.Errorf("%d mails, alarms %+v", len(b.mails), list)
	}
}
