package gateway

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAllowance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAllowance(60)
		for i := range 61 {
			if got := a.take("anna", time.Now()); got != (i < 60) {
				t.Fatalf("take %d: %v", i+1, got)
			}
		}
		if !a.take("bob", time.Now()) {
			t.Error("another has not had any")
		}
		time.Sleep(time.Minute)
		if !a.take("anna", time.Now()) || a.take("anna", time.Now()) {
			t.Error("one comes back each minute, no more")
		}
		a.giveBack("anna", time.Now())
		a.giveBack("nobody", time.Now())
		if !a.take("anna", time.Now()) || a.take("anna", time.Now()) {
			t.Error("what is given back can be had again, once")
		}
		time.Sleep(24 * time.Hour)
		for i := range 61 {
			if got := a.take("anna", time.Now()); got != (i < 60) {
				t.Fatalf("a day later, take %d: %v", i+1, got)
			}
		}
		// Who has had all is not forgotten for the sake of those who have their full allowance again.
		for i := range maxLevels {
			a.take(fmt.Sprint("old", i), time.Now())
		}
		time.Sleep(30 * time.Minute)
		for a.take("anna", time.Now()) {
		}
		for i := range 2 * maxLevels {
			a.take(fmt.Sprint("new", i), time.Now())
			if i == maxLevels/2 && a.take("anna", time.Now()) {
				t.Error("forgotten")
			}
		}
		if len(a.had) > maxLevels {
			t.Errorf("%d are remembered", len(a.had))
		}
	})
}

// TestMailIn_SenderHasItsAllowance: what is over it is refused before the 250, so every fax that was accepted still is told of.
func TestMailIn_SenderHasItsAllowance(t *testing.T) {
	b := newBench(t, func(o *Options) { o.MailsPerSender = 3 })
	hand := func(from string, n int) error {
		t.Helper()
		_, err := b.post(fmt.Sprintf("From: %s\nSubject: x\nMessage-ID: <%s.%d@example.org>\n\nhello\n", from, strings.ReplaceAll(from, "@", "."), n), from, "5550100@fax.example.org")
		return err
	}
	for i := range 5 {
		err := hand("anna@example.org", i)
		if (err == nil) != (i < 3) || err != nil && !strings.Contains(err.Error(), "4.7.1") {
			t.Errorf("mail %d: %v", i+1, err)
		}
	}
	if err := hand("ANNA@example.org", 9); err == nil {
		t.Error("another spelling is another sender")
	}
	if err := hand("bob@example.org", 1); err != nil {
		t.Errorf("another sender: %v", err)
	}
}

// TestMailIn_PostmasterLoop: mail to the postmaster goes on to the operator; what an appliance wrote does not, nor what comes in masses.
func TestMailIn_PostmasterLoop(t *testing.T) {
	b := newBench(t, nil)
	for _, c := range []struct{ name, header, want string }{
		{"a person's", "From: eve@example.net\nSubject: your faxes\n", ""},
		{"a bounce", "From: mailer-daemon@example.net\nAuto-Submitted: auto-replied\nContent-Type: text/plain\n", ""},
		{"of an appliance", "From: fax@example.net\nX-Tipring-Loop: other.example\n", "5.4.6"},
		{"in circles", strings.Repeat("Received: from a by b; Mon, 23 Nov 2026 00:00:00 +0000\n", 25) + "From: eve@example.net\n", "5.4.6"},
	} {
		_, err := b.post(c.header+"\nhello\n", "", "postmaster")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	taken := 2
	for range 3 * postmasterMails {
		if _, err := b.post("From: eve@example.net\n\nagain\n", "eve@example.net", "postmaster"); err == nil {
			taken++
		} else if !strings.Contains(err.Error(), "4.7.1") {
			t.Fatal(err)
		}
	}
	if taken != postmasterMails {
		t.Errorf("%d mails to the postmaster were taken", taken)
	}
}
