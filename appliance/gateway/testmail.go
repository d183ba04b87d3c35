package gateway

import (
	"fmt"
	"net/mail"
	"os"
	"path/filepath"
	"time"

	"github.com/tipring/tipring/smtpstack/message"
	"github.com/tipring/tipring/smtpstack/send"
)

// TestMail writes a message that tries a send connector, signed as all our mail is. done removes it.
func (g *Gateway) TestMail(to, connector string) (m send.Message, done func(), err error) {
	now := time.Now()
	out := message.Outgoing{ID: fmt.Sprintf("test-%d", now.UnixNano()), Domain: g.o.Hostname, Date: now, Generated: true,
		From: mail.Address{Name: g.o.FromName, Address: g.o.From}, To: []mail.Address{{Address: to}}, Subject: "Test of the send connector " + connector,
		Text: "This message tries the send connector " + connector + " of " + g.o.Hostname + ". Nothing needs to be done.\n"}
	f, err := os.CreateTemp(filepath.Join(g.st.Dir(), "spool", "tmp"), "test")
	if err != nil {
		return m, nil, fmt.Errorf("gateway: test message: %w", err)
	}
	_, err = out.WriteTo(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		m = send.Message{From: g.o.From, To: []string{to}}
		m.Open, m.Size, err = message.SignedFile(f.Name(), g.o.DKIM...)
	}
	if err != nil {
		os.Remove(f.Name())
		return m, nil, fmt.Errorf("gateway: test message: %w", err)
	}
	return m, func() { os.Remove(f.Name()) }, nil
}
