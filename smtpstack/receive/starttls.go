package receive

import (
	"bufio"
	"crypto/tls"
	"errors"

	"github.com/tipring/tipring/smtpstack"
)

// errStartTLS is returned when TLS has been established and another conversation begins.
var errStartTLS = errors.New("TLS established")

// startTLS answers STARTTLS (RFC 3207) below go-smtp, whose own would leave the wire under the cipher.
func (w *wire) startTLS(arg string) error {
	switch {
	case w.cfg.TLS == nil || w.tls != nil:
		w.say(smtpstack.Refuse(503, "5.5.1", "TLS is not offered"))
		return nil
	case arg != "":
		w.say(smtpstack.Refuse(501, "5.5.4", "STARTTLS takes no argument"))
		return nil
	case w.r.Buffered() > 0:
		// Commands sent along in the clear would be taken for part of the protected session (CVE-2011-0411).
		w.say(smtpstack.Refuse(501, "5.5.1", "STARTTLS must be the last command of its group"))
		return errHangUp
	}
	w.say(smtpstack.Refuse(220, "2.0.0", "go ahead"))
	if err := w.w.Flush(); err != nil {
		return err
	}
	if err := w.handshake(); err != nil {
		return err
	}
	w.resumed = true
	return errStartTLS
}

// handshake puts TLS below. Nothing said before counts any more (RFC 3207 4.2).
func (w *wire) handshake() error {
	w.conn.beginData(w.patience(w.cfg.CommandTimeout), w.patience(w.cfg.CommandTimeout))
	tc := tls.Server(w.conn, w.cfg.TLS)
	if err := tc.Handshake(); err != nil {
		w.session.trace("!", smtpstack.OneLine("TLS: "+err.Error()))
		w.over = true // whatever we said now would not be understood
		return errHangUp
	}
	w.tls = tc
	w.r, w.w = bufio.NewReaderSize(tc, 16<<10), bufio.NewWriter(tc)
	w.verb, w.helo, w.esmtp, w.user = "", "", false, ""
	st := tc.ConnectionState()
	w.session.trace("!", "TLS established: "+tls.VersionName(st.Version))
	if want := w.cfg.ClientCert; want != nil {
		var err error
		if w.clientName, err = want.Verify(st); err != nil {
			w.session.trace("!", smtpstack.OneLine("not proven: "+err.Error()))
		} else {
			w.session.trace("!", "client certificate of "+w.clientName)
		}
	}
	return nil
}

// upgraded tells whether another conversation begins.
func (w *wire) upgraded() bool { return w.resumed }
