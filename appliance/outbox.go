package appliance

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/emersion/go-smtp"
)

// outbox is the demo's mail server: it takes any mail on a loopback port and writes each to a file. So the demo's mail
// goes the same way as the appliance's.
type outbox struct {
	dir string
	srv *smtp.Server
	l   net.Listener
}

// maxOutboxMail bounds a mail in the demo's outbox, in octets.
const maxOutboxMail = 256 << 20

func openOutbox(dir string) (*outbox, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("demo: outbox: %w", err)
	}
	o := &outbox{dir: dir, l: l}
	o.srv = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &outboxSession{dir: dir}, nil }))
	o.srv.Domain, o.srv.MaxMessageBytes, o.srv.ReadTimeout, o.srv.WriteTimeout = "outbox.invalid", maxOutboxMail, time.Minute, time.Minute
	go o.srv.Serve(l) // ends with Close
	return o, nil
}

// Addr is where the outbox takes mail.
func (o *outbox) Addr() string { return o.l.Addr().String() }

// Close ends the server.
func (o *outbox) Close() error { return o.srv.Close() }

type outboxSession struct{ dir string }

func (*outboxSession) Reset()                               {}
func (*outboxSession) Logout() error                        { return nil }
func (*outboxSession) Mail(string, *smtp.MailOptions) error { return nil }
func (*outboxSession) Rcpt(string, *smtp.RcptOptions) error { return nil }

// Data writes the mail under a name that sorts by time; a reader of the folder never sees half a mail.
func (s *outboxSession) Data(r io.Reader) error {
	f, err := os.CreateTemp(s.dir, ".mail-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), filepath.Join(s.dir, time.Now().Format("20060102-150405.000000")+".eml"))
}
