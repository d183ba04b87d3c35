package recording

import (
	"bytes"
	"strings"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/hdlc"
)

// What is blotted out: digits become 0 and letters x, so that lengths stay, and of a telephone number its last two digits.

// private are the beginnings of commands and reports behind which numbers, names or passwords stand (T.32, class 2, V.253).
var private = []string{
	"+FTSI", "+FCSI", "+FCIG", "+FLID", "+FTI", "+FCI", "+FPI", "+FLI", "+FSA", "+FPA", "+FPW", "+FSUB", "+FSEP", "+FPWD", "+FNSF", "+FNF", "+FNS", "+FNC",
	"+FHR", "+FHT", "NMBR", "NAME", "NDID", "DDN", "MESG", "+CLIP", "CALLER", "FM", "TO:", "FROM",
}

// secret are those of them that are passwords.
var secret = []string{"+FPW", "+FPWD"}

func begins(line string, with []string) bool {
	up := strings.ToUpper(strings.TrimLeft(line, "\r\n \x10"))
	up = strings.TrimPrefix(up, "AT")
	for _, p := range with {
		if strings.HasPrefix(up, p) {
			return true
		}
	}
	return false
}

// blotLine blots out what is private in one line of text, whose length stays.
func blotLine(line []byte, numbers bool) []byte {
	text := string(line)
	switch {
	case begins(text, secret):
		return blotFrom(line, valueAt(line), 0, true)
	case numbers:
		return line
	case begins(text, []string{"D"}) && strings.HasPrefix(strings.ToUpper(text), "AT"):
		return blotFrom(line, 3, 2, false)
	case begins(text, private):
		return blotFrom(line, valueAt(line), 2, true)
	}
	if code, _ := at.ParseLine(text); code == at.CallerID {
		return blotFrom(line, valueAt(line), 2, true)
	}
	return line
}

// valueAt is where the value of "+FTSI: 123", "AT+FLI=123" or "NMBR=123" begins.
func valueAt(line []byte) int {
	if i := bytes.IndexAny(line, ":="); i >= 0 {
		return i + 1
	}
	return len(line)
}

// blotFrom blots out line from a place on, digits but the last ones, and letters.
func blotFrom(line []byte, from, last int, letters bool) []byte {
	out := bytes.Clone(line)
	for i := len(out) - 1; i >= from; i-- {
		c := &out[i]
		switch {
		case *c >= '0' && *c <= '9':
			if last > 0 {
				last--
			} else {
				*c = '0'
			}
		case letters && (*c >= 'a' && *c <= 'z' || *c >= 'A' && *c <= 'Z'):
			*c = 'x'
		}
	}
	return out
}

// Number is a telephone number, identification or address as this recording tells it.
func (r *Recorder) Number(s string) string {
	if r.o.Numbers {
		return s
	}
	return string(blotFrom([]byte(s), 0, 2, false))
}

// Secret is a password as recordings tell it.
func Secret(s string) string { return string(blotFrom([]byte(s), 0, 0, true)) }

// Pages tells whether page data is to be in the recording.
func (r *Recorder) Pages() bool { return r.o.Pages }

// blotText blots out text of several lines, or of a part of one.
func blotText(b []byte, numbers bool) []byte {
	var out []byte
	for len(b) > 0 {
		n := bytes.IndexAny(b, "\r\n")
		switch {
		case n < 0:
			n = len(b)
		case n == 0:
			n = 1
		}
		out = append(out, blotLine(b[:n], numbers)...)
		b = b[n:]
	}
	return out
}

// identity are the frames that tell who somebody is.
func identity(f t30.Frame) (who, password bool) {
	switch f.FCF() {
	case t30.FcfPWD, t30.FcfSID:
		return true, true
	case t30.FcfCSI, t30.FcfCIG, t30.FcfTSI, t30.FcfSUB, t30.FcfSEP, t30.FcfPSA, t30.FcfNSF, t30.FcfNSC, t30.FcfNSS:
		return true, false
	}
	return false, false
}

// frameHead is address, control and FCF.
const frameHead = 3

// nsfKept are the octets of a non-standard frame's FIF that name its maker (T.35).
const nsfKept = 4

// blotReceived blots out what a received frame tells of somebody. raw is the frame with its FCS, DLE shielding and DLE ETX.
func blotReceived(raw []byte, numbers bool) []byte {
	body := make([]byte, len(raw))
	var d at.Decoder
	n, _, mark := d.Decode(body, raw)
	f := t30.Frame(body[:n])
	who, password := identity(f)
	if !f.Valid() || !who || numbers && !password || mark != at.End || n < frameHead+2 {
		return raw
	}
	good := hdlc.Good(f)
	fif := f[frameHead : n-2]
	keep := 0
	if c := f.FCF(); c == t30.FcfNSF || c == t30.FcfNSC || c == t30.FcfNSS {
		keep = nsfKept
	}
	for i := range fif {
		switch c := fif[i]; {
		case i < keep:
		case keep > 0:
			fif[i] = 0
		case c != ' ' && c != '+':
			fif[i] = '0'
		}
	}
	f = hdlc.AppendFCS(f[:n-2])
	if !good {
		f[n-1] ^= 0xff
	}
	return append(at.Shield(nil, f), 0x10, 0x03)
}

// blotSent is the place in a frame for the modem from which on it is not told; -1: all of it is.
func blotSent(raw []byte, numbers bool) int {
	if len(raw) < frameHead {
		return -1
	}
	f := t30.Frame(raw)
	if who, password := identity(f); f.Valid() && who && (!numbers || password) {
		return frameHead
	}
	return -1
}
