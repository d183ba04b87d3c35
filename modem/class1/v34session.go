package class1

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/modem/phone"
)

// How a modem gets into V.34 and out of it again; the call between is v34.go's.

// eotWait is for the end of the V.34 session.
const eotWait = 5 * time.Second

// Commands, without AT.
const (
	// useV34 lets calls be of V.34: 33600 to 2400 bit/s on the primary channel, 2400 on the control channel rather than 1200 (T.31 B.6.1).
	// Field: HylaFAX, for the modems of Lucent, MultiTech and Mainpine.
	useV34 = "+F34=14,1,2"
	// noV8 has calls begin as of old, which rules V.34 out (V.251 6.1: +A8E); +F34 has no value that would: 0 is "as fast as you can".
	noV8  = "+A8E=0,0"
	useV8 = "+A8E=1,1"
)

// OffersV34 asks the modem on ch, in Class 1.0, whether it has V.34 fax.
func OffersV34(ctx context.Context, ch *at.Channel) (bool, error) {
	r, err := ch.Command(ctx, "AT+F34=?", phone.CommandWait)
	if errors.Is(err, at.ErrNoReply) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("class1: %w", err)
	}
	ranges := strings.Join(r.Info, " ")
	ranges = ranges[strings.IndexByte(ranges, ':')+1:]
	return r.Code == at.OK && strings.ContainsAny(ranges, "123456789"), nil
}

// offerV34 tells the modem whether the next call may be of V.34.
func (p *Phone) offerV34(ctx context.Context, may bool) error {
	p.v34 = v34Rates{}
	switch {
	case !p.cfg.V34:
		return nil
	case !may:
		return p.phone.Try(ctx, noV8)
	}
	return p.phone.Try(ctx, useV8, useV34)
}

// v34Rates are the rates of the two channels, bit/s.
type v34Rates struct{ primary, control int }

// parseF34 reads the report of V.34's start-up, "+F34:14,1": rates in units of 2400 and 1200 bit/s.
func parseF34(text string) (r v34Rates, ok bool) {
	rest, ok := cutPrefixFold(text, "+F34:")
	if !ok {
		return r, false
	}
	f := strings.FieldsFunc(rest, func(c rune) bool { return c == ',' || c == ' ' })
	if len(f) < 2 {
		return r, false
	}
	p, err1 := strconv.Atoi(f[0])
	c, err2 := strconv.Atoi(f[1])
	if err1 != nil || err2 != nil || p < 1 || p > 14 || c < 1 || c > 2 {
		return r, false
	}
	return v34Rates{p * 2400, c * 1200}, true
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// leaveV34 brings a modem back from V.34 to taking commands: DLE EOT, which it answers likewise and with OK.
func (l *line) leaveV34(ctx context.Context) error {
	if l.state == inV34 {
		l.ch.Purge()
		// The purge may have cut a DLE pair in two: the zero completes it.
		if err := l.ch.WriteData(ctx, []byte{0}); err != nil {
			return err
		}
		if err := l.ch.WriteV34(ctx, at.V34EOT); err != nil {
			return err
		}
		if over, err := l.awaitEOT(ctx); over || err != nil {
			return err
		}
	}
	l.state = commandState
	_, err := l.ch.Result(ctx, commandWait)
	return err
}

// awaitEOT passes over all that comes before DLE EOT; over: the result that follows it came in its place.
func (l *line) awaitEOT(ctx context.Context) (over bool, err error) {
	var dec at.V34Decoder
	var buf []byte
	for until := time.Now().Add(eotWait); ; {
		var code at.V34Code
		if buf, code, err = l.ch.ReadV34(ctx, &dec, buf, max(0, time.Until(until))); err != nil {
			return false, err
		}
		switch {
		case code == at.V34EOT:
			return false, nil
		case endsInResult(buf):
			return true, nil
		case code != at.V34None || len(buf) > maxV34Frame:
			buf = buf[:0]
		}
	}
}
