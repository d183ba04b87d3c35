package phone

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

// mdmf is a caller ID message of parameters (type, text) with its checksum, in hexadecimal.
func mdmf(params ...string) string {
	var body []byte
	for i := 0; i < len(params); i += 2 {
		body = append(body, params[i][0], byte(len(params[i+1])))
		body = append(body, params[i+1]...)
	}
	return message(at.MDMF, body)
}

func message(kind byte, body []byte) string {
	b := append([]byte{kind, byte(len(body))}, body...)
	var s byte
	for _, c := range b {
		s += c
	}
	return strings.ToUpper(hex.EncodeToString(append(b, -s)))
}

// report makes a ring of what a modem says: RING and caller ID lines; others are passed over. The channel cuts lines at CR and LF and drops
// other control characters.
func report(lines string) (r t30.Ring) {
	var c callInfo
	for _, l := range strings.FieldsFunc(lines, func(r rune) bool { return r == '\r' || r == '\n' }) {
		l = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return -1
			}
			return r
		}, l)
		switch code, text := at.ParseLine(l); code {
		case at.CallerID:
			c.add(text)
		case at.Ring:
			r = c.ring(at.Line{Code: code, Text: text})
		}
	}
	r.At = time.Time{}
	return r
}

func TestCallInfo(t *testing.T) {
	doe := t30.Ring{Caller: "5550123", Name: "J. DOE"}
	spaced := func(s string) string { return s[:6] + " " + s[6:10] + " " + s[10:] }
	for _, tt := range []struct {
		name, lines string
		want        t30.Ring
	}{
		{"V.253 with spaces", "DATE = 1122\nTIME = 1605\nNMBR = 5550123\nNAME = J. DOE\nRING", doe},
		{"V.253 without", "DATE=1122\nTIME=1605\nNMBR=5550123\nNAME=J. DOE\nRING", doe},
		{"after the ring", "RING\nDATE=1122\nTIME=1605\nNAME=J. DOE\nNMBR=5550123\nRING", doe},
		{"ZyXEL", "TIME: 11-22 16:05\nCALLER NAME: J. DOE\nCALLER NUMBER: 5550123\nRING", doe},
		{"caller's", "CALLER'S NUMBER: 5550123\nCALLER'S NAME: J. DOE\nRING", doe},
		{"CID", "CID: 5550123\nRING", t30.Ring{Caller: "5550123"}},
		{"+CLIP", "RING\n+CLIP: \"+15550123\",145,,,\"\",0\nRING", t30.Ring{Caller: "+15550123"}},
		{"in RING", "RING;5550123\nRING;5550123", t30.Ring{Caller: "5550123"}},
		{"dialable number is the caller's", "NMBR=5550123\nDDN_NMBR=14255550123\nRING", t30.Ring{Caller: "5550123"}},
		{"dialable number alone", "DDN_NMBR=14255550123\nRING", t30.Ring{Caller: "14255550123"}},
		{"called number", "NMBR=5550123\nNDID=0101\nRING", t30.Ring{Caller: "5550123", Dialed: "0101"}},
		{"called number alone", "NDID = 4711\nRING", t30.Ring{Dialed: "4711"}},
		{"withheld", "NMBR = P\nNAME = P\nRING", t30.Ring{NoCaller: Withheld}},
		{"out of area", "NMBR = O\nNAME = O\nRING", t30.Ring{NoCaller: Unavailable}},
		{"private", "NMBR = PRIVATE\nRING", t30.Ring{NoCaller: Withheld}},
		{"written out", "REASON FOR NO CALLER NUMBER: OUT OF AREA\nREASON FOR NO CALLER NAME: PRIVATE\nRING", t30.Ring{NoCaller: Unavailable}},
		{"hyphens", "NMBR = -OUT OF AREA-\nRING", t30.Ring{NoCaller: Unavailable}},
		{"a caller named P", "NMBR=5550123\nNAME=P. FOX\nRING", t30.Ring{Caller: "5550123", Name: "P. FOX"}},
		{"MDMF", mdmf("\x01", "11221605", "\x02", "5550123", "\x07", "J. DOE") + "\nRING", doe},
		{"MDMF with marks and blanks", "5555" + spaced(mdmf("\x01", "11221605", "\x02", "5550123", "\x07", "J. DOE")) + "\nRING", doe},
		{"MDMF in MESG", "MESG=" + mdmf("\x02", "5550123") + "\nRING", t30.Ring{Caller: "5550123"}},
		{"MDMF withheld", mdmf("\x01", "11221605", "\x04", "P", "\x08", "P") + "\nRING", t30.Ring{NoCaller: Withheld}},
		{"MDMF of ETSI, called number", mdmf("\x02", "03055501", "\x03", "4711") + "\nRING", t30.Ring{Caller: "03055501", Dialed: "4711"}},
		{"MDMF, checksum wrong", mdmf("\x02", "5550123")[:18] + "00\nRING", t30.Ring{}},
		{"MDMF, a parameter longer than the message", message(at.MDMF, []byte("\x02\x055\x07")) + "\nRING", t30.Ring{}},
		{"SDMF", message(at.SDMF, []byte("112216055550123")) + "\nRING", t30.Ring{Caller: "5550123"}},
		{"SDMF private", message(at.SDMF, []byte("11221605P")) + "\nRING", t30.Ring{NoCaller: Withheld}},
		{"one parameter in MESG", "NMBR=5550123\nMESG = 07064A2E20444F45\nRING", doe},
		{"letter", "RING B", t30.Ring{Pattern: "B"}},
		{"number", "RING2", t30.Ring{Pattern: "2"}},
		{"cadence", "DRON=8\nDROF=4\nDRON=8\nRING", t30.Ring{Pattern: "DRON=8/DROF=4/DRON=8"}},
		{"cadence of each ring anew", "DRON=8\nDROF=4\nRING\nDRON=20\nDROF=40\nRING", t30.Ring{Pattern: "DRON=20/DROF=40"}},
		{"cadence with spaces", "DRON = 20\nRING", t30.Ring{Pattern: "DRON=20"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := report(tt.lines); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func FuzzCallInfo(f *testing.F) {
	f.Add("DATE = 1122\nNMBR = 5550123\nRING A\n" + mdmf("\x02", "5550123", "\x07", "J. DOE") + "\nMESG=0202FF\nDRON=8\nRING;123456")
	f.Add(message(at.SDMF, []byte("11221605P")) + "\n+CLIP: \"1\",1\nRING")
	f.Add("RING 0000\r0")
	f.Fuzz(func(t *testing.T, lines string) {
		r := report(lines)
		for _, s := range []string{r.Caller, r.Name, r.Dialed, r.NoCaller} {
			if utf8.RuneCountInString(s) > maxField || strings.ContainsFunc(s, unicode.IsControl) {
				t.Errorf("field %q", s)
			}
		}
		if len(r.Pattern) > maxCadence*(4*maxField+1) {
			t.Errorf("pattern of %d octets", len(r.Pattern))
		}
		if r.Caller != "" && r.NoCaller != "" {
			t.Errorf("%+v", r)
		}
	})
}
