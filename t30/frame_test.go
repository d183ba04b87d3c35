package t30

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFCF_Codes holds each code against T.30 5.3.6, written there with the first bit sent on the left, X as 0.
func TestFCF_Codes(t *testing.T) {
	for fcf, want := range map[FCF]string{
		FcfDIS: "00000001", FcfCSI: "00000010", FcfNSF: "00000100", FcfDTC: "10000001", FcfCIG: "10000010",
		FcfNSC: "10000100", FcfPWD: "10000011", FcfSEP: "10000101", FcfPSA: "10000110", FcfDCS: "01000001",
		FcfTSI: "01000010", FcfNSS: "01000100", FcfSUB: "01000011", FcfSID: "01000101", FcfCTC: "01001000",
		FcfCFR: "00100001", FcfFTT: "00100010", FcfCTR: "00100011", FcfEOM: "01110001", FcfMPS: "01110010",
		FcfEOP: "01110100", FcfPRE: "01111001", FcfPRM: "01111010", FcfPRP: "01111100", FcfEOR: "01110011",
		FcfPPS: "01111101", FcfRR: "01110110", FcfMCF: "00110001", FcfRTP: "00110011", FcfRTN: "00110010",
		FcfPIP: "00110101", FcfPIN: "00110100", FcfPPR: "00111101", FcfRNR: "00110111", FcfERR: "00111000",
		FcfFDM: "00111111", FcfDCN: "01011111", FcfCRP: "01011000", FcfFNV: "01010011", FcfTNR: "01010111",
		FcfTR: "01010110", FcfFCD: "01100000", FcfRCP: "01100001",
	} {
		var b byte
		for i, c := range want {
			if c == '1' {
				b |= 1 << i
			}
		}
		if byte(fcf) != b {
			t.Errorf("%v is %02x, want %02x", fcf, byte(fcf), b)
		}
		if x := fcf.octet(true); fcfOf(x) != fcf || fcfOf(fcf.octet(false)) != fcf {
			t.Errorf("%v with X is %02x, read as %v", fcf, x, fcfOf(x))
		}
		if strings.HasPrefix(fcf.String(), "FCF(") {
			t.Errorf("%02x has no name", byte(fcf))
		}
	}
}

func TestFrame_Parts(t *testing.T) {
	f := NewFrame(FcfDCS, true, true, 1, 2)
	if !bytes.Equal(f, []byte{0xff, 0x13, 0x83, 1, 2}) || !f.Final() || !f.X() || f.FCF() != FcfDCS || !f.Valid() {
		t.Errorf("% x", []byte(f))
	}
	f = NewFrame(FcfDIS, true, false)
	if !bytes.Equal(f, []byte{0xff, 0x03, 0x80}) || f.Final() || f.X() || len(f.FIF()) != 0 {
		t.Errorf("% x", []byte(f))
	}
	for _, bad := range []Frame{nil, {}, {0xff}, {0xff, 0x13}, {0xfe, 0x13, 0x80}, {0xff, 0x17, 0x80}} {
		if bad.Valid() {
			t.Errorf("% x is valid", []byte(bad))
		}
	}
}

func TestIdent_BothWays(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"+49 30 5550100", "+49 30 5550100"}, {"", ""}, {"  12", "12"}, {"1234567890123456789012345", "67890123456789012345"},
		{"Miller 12", "12"}, {"*1#", "*1#"},
	} {
		fif := encodeIdent(c.in)
		if len(fif) != identLen {
			t.Errorf("%q: %d octets", c.in, len(fif))
		}
		if got := decodeIdent(fif); got != c.want {
			t.Errorf("%q came back as %q, want %q", c.in, got, c.want)
		}
	}
	// T.30 5.3.6.2.4: the last digit first.
	if got := encodeIdent("+12"); !bytes.HasPrefix(got, []byte("21+ ")) {
		t.Errorf("%q", got)
	}
	if got := decodeIdent([]byte("OLLEH\x00\xff")); got != "??HELLO" {
		t.Errorf("%q", got)
	}
}

// allCapabilities is what DIS can say at most.
var allCapabilities = Capabilities{
	Schemes: Schemes(V27ter | V29 | V17), MaxRate: 14400, Codings: Codings(MH | MR | MMR | JBIG),
	Resolutions: Resolutions(Standard | Fine | Superfine | R16 | Res200 | Res300 | Res400 | Res600),
	Widths:      Widths(WidthA4 | WidthB4 | WidthA3), Length: LengthUnlimited, ECM: true, ECM64: true,
	Subaddress: true, SelectivePoll: true, Password: true,
}

func TestDIS_BothWays(t *testing.T) {
	plain := Capabilities{
		Schemes: Schemes(V27ter), MaxRate: 4800, Codings: Codings(MH), Resolutions: Resolutions(Standard), Widths: Widths(WidthA4),
		MinScanLine: 20 * time.Millisecond, MinScanLineFine: 20 * time.Millisecond,
	}
	v29 := plain
	v29.Schemes, v29.MaxRate, v29.Length, v29.Widths = Schemes(V27ter|V29), 9600, LengthB4, Widths(WidthA4|WidthB4)
	v29.MinScanLine, v29.MinScanLineFine = 10*time.Millisecond, 5*time.Millisecond
	for _, c := range []Capabilities{plain, v29, allCapabilities} {
		for _, poll := range []bool{false, true} {
			fif := encodeDIS(c, !poll, poll)
			got, receive, gotPoll := decodeDIS(fif)
			if got != c || receive == poll || gotPoll != poll {
				t.Errorf("% x: %+v, want %+v", fif, got, c)
			}
		}
	}
}

func TestDIS_AsOthersSendIt(t *testing.T) {
	for _, c := range []struct {
		fif  string
		want func(Capabilities) bool
		text string
	}{
		{"", func(c Capabilities) bool { return c.Schemes == Schemes(V27ter) && c.MaxRate == 2400 }, "no field at all"},
		{"00", func(c Capabilities) bool { return c.Schemes == Schemes(V27ter) }, "one octet"},
		{"00 4e f8", func(c Capabilities) bool { return c.Schemes.Has(V29) && !c.ECM && c.MinScanLine == 0 }, "no third-octet extension"},
		{"00 ee f8 44", func(c Capabilities) bool {
			return c.ECM && c.Schemes.Has(V17) && c.Codings == Codings(MH|MR|MMR) && c.Resolutions == Resolutions(Standard|Fine)
		}, "V.17, ECM, MMR"},
		{"00 ee f8 c4 80 89 80 80 80 18", func(c Capabilities) bool { return !c.Codings.Has(JBIG) || c.ECM }, "ten octets"},
		{strings.Repeat("ff", 40), func(c Capabilities) bool { return c.Widths.Has(WidthA3) }, "all ones"},
	} {
		got, _, _ := decodeDIS(unhex(t, c.fif))
		if !c.want(got) {
			t.Errorf("%s: %+v", c.text, got)
		}
	}
}

func TestDIS_ExtendBits(t *testing.T) {
	fif := encodeDIS(allCapabilities, true, false)
	for i := 2; i < len(fif); i++ {
		if more := fif[i]&0x80 != 0; more != (i < len(fif)-1) {
			t.Errorf("octet %d of %d: extend bit %v", i, len(fif), more)
		}
	}
}

func TestDCS_BothWays(t *testing.T) {
	n := 0
	for _, m := range dcsRates {
		for r := Standard; r <= Res600; r <<= 1 {
			for _, w := range []Width{WidthA4, WidthB4, WidthA3} {
				for _, cod := range []Coding{MH, MR, MMR, JBIG} {
					s := settings{Modulation: m, Format: PageFormat{Resolution: r, Width: w, Coding: cod, Length: Length(n % 3)}}
					s.MinScan = []time.Duration{0, 5, 10, 20, 40}[n%5] * time.Millisecond
					s.ECM = cod == MMR || cod == JBIG || n%2 == 0
					s.Frame64 = s.ECM && n%3 == 0
					n++
					got, ok := decodeDCS(encodeDCS(s))
					if !ok || got != s {
						t.Fatalf("%v came back as %v", s, got)
					}
				}
			}
		}
	}
}

// TestJBIG_Bits: DIS names T.85's basic and optional sets (bits 78, 79), with error correction only; DCS the basic one, in which we send; one
// that names the optional one alone is understood.
func TestJBIG_Bits(t *testing.T) {
	c := Capabilities{Codings: Codings(MH | JBIG), ECM: true}
	if f := fif(encodeDIS(c, true, false)); !f.bit(78) || !f.bit(79) {
		t.Errorf("DIS: % x", f)
	}
	c.ECM = false
	if f := fif(encodeDIS(c, true, false)); f.bit(78) || f.bit(79) {
		t.Errorf("DIS without error correction: % x", f)
	}
	s := settings{Modulation: Modulation{Scheme: V29, Rate: 9600}, Format: PageFormat{Coding: JBIG}, ECM: true}
	f := fif(encodeDCS(s))
	if !f.bit(78) || f.bit(79) || f.bit(31) {
		t.Errorf("DCS: % x", f)
	}
	f.set(79)
	f[9] &^= 1 << 5 // bit 78
	if got, ok := decodeDCS(f); !ok || f.bit(78) || got.Format.Coding != JBIG {
		t.Errorf("DCS with bit 79 alone: %+v", got)
	}
}

func TestDCS_ShortForPlainReceivers(t *testing.T) {
	s := settings{Modulation: Modulation{Scheme: V27ter, Rate: 4800}, Format: PageFormat{Resolution: Standard, Width: WidthA4, Coding: MH}}
	s.MinScan = 20 * time.Millisecond
	if got := encodeDCS(s); !bytes.Equal(got, []byte{0, 0x0a, 0}) {
		t.Errorf("% x", got)
	}
}

func TestScanTime_NeverShorterThanAsked(t *testing.T) {
	for _, equal := range []bool{false, true} {
		for _, a := range scanTimes {
			got := scanTimes[scanBitsFor(a[0], a[1], equal)]
			if got[0] < a[0] || got[1] < a[1] || !equal && got != a {
				t.Errorf("%v: %v", a, got)
			}
		}
	}
}

func TestRates_Ladder(t *testing.T) {
	names := func(own, far Schemes, max int) (s []string) {
		for _, m := range rates(Capabilities{Schemes: own, MaxRate: max}, Capabilities{Schemes: far, MaxRate: 14400}) {
			s = append(s, m.String())
		}
		return s
	}
	all := Schemes(V27ter | V29 | V17)
	for _, c := range []struct {
		own, far Schemes
		max      int
		want     []string
	}{
		{all, all, 14400, []string{"v17/14400", "v17/12000", "v17/9600", "v29/9600", "v29/7200", "v27ter/4800", "v27ter/2400"}},
		{all, Schemes(V27ter | V29), 14400, []string{"v29/9600", "v29/7200", "v27ter/4800", "v27ter/2400"}},
		{Schemes(V27ter | V17), all, 12000, []string{"v17/12000", "v17/9600", "v17/7200", "v27ter/4800", "v27ter/2400"}},
		{all, all, 2400, []string{"v27ter/2400"}},
		{Schemes(V27ter), Schemes(V29), 14400, nil},
	} {
		if got := names(c.own, c.far, c.max); !slices.Equal(got, c.want) {
			t.Errorf("%v, want %v", got, c.want)
		}
	}
}

func TestTCF_Judgement(t *testing.T) {
	const rate = 9600
	zeros := func(ms int) []byte { return make([]byte, rate/8*ms/1000) }
	noise := func(n int) []byte { return bytes.Repeat([]byte{0xa5}, n) }
	for _, c := range []struct {
		name string
		data []byte
		want bool
	}{
		{"1.5 s", zeros(1500), true},
		{"1.35 s", zeros(1350), true},
		{"0xff first, noise after", slices.Concat(noise(30), zeros(1450), noise(40)), true},
		{"an error in the last third", slices.Concat(zeros(1050), noise(3), zeros(400)), true},
		{"an error in the middle", slices.Concat(zeros(750), noise(3), zeros(750)), false},
		{"too short", zeros(900), false},
		{"nothing", nil, false},
		{"noise", noise(1800), false},
	} {
		var check tcfCheck
		for b := range slices.Chunk(c.data, 100) {
			check.Write(b)
		}
		if got := check.good(rate); got != c.want {
			t.Errorf("%s: %v (%v)", c.name, got, &check)
		}
	}
}

func TestFrame_Text(t *testing.T) {
	for _, c := range []struct {
		f    Frame
		want string
	}{
		{NewFrame(FcfDCS, true, true, encodeDCS(settings{Modulation: Modulation{Scheme: V17, Rate: 14400}, ECM: true,
			Format: PageFormat{Resolution: Fine, Width: WidthA4, Coding: MMR}})...), "DCS v17/14400 mmr fine ecm/256"},
		{NewFrame(FcfTSI, true, false, encodeIdent("+49 30 1234567")...), "TSI +49 30 1234567"},
		{NewFrame(FcfPPS, true, true, FcfEOP.octet(true), 1, 0, 36), "PPS-EOP page 1 block 0 frames 37"},
		{NewFrame(FcfPWD, true, false, encodeIdent("1234")...), "PWD (hidden)"},
		{NewFrame(FcfCTC, true, true, 0, 0x04), "CTC v29/9600"},
		{NewFrame(FcfMCF, false, true), "MCF"},
		{Frame{0x40, 0x13, 0x80}, "bad frame 401380"},
	} {
		if got := c.f.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func FuzzFrame(f *testing.F) {
	for _, s := range []string{"ff1380", "ff138000eef8c4808980808018", "ff138200", "ff13be2e010024", "ff13bcffff", "ff0340202020", "ff1312", "ff0306", "00"} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr := Frame(b)
		if fr.String() == "" {
			t.Error("no text")
		}
		caps, receive, poll := decodeDIS(fr.FIF())
		again, r2, p2 := decodeDIS(encodeDIS(caps, receive, poll))
		if again != caps || r2 != receive || p2 != poll {
			t.Errorf("% x: %+v, then %+v", b, caps, again)
		}
		if s, ok := decodeDCS(fr.FIF()); ok {
			if s2, ok := decodeDCS(encodeDCS(s)); !ok || s2 != s {
				t.Errorf("% x: %v, then %v", b, s, s2)
			}
		}
		var r Remote
		noteIdent(&r, fr)
		if len(r.ID) > identLen {
			t.Errorf("identity %q", r.ID)
		}
	})
}
