package virtual

import (
	"fmt"
	"time"
)

// modulation is one row of T.31 Table 3: a code of +FTM, +FRM, +FTH, +FRH.
type modulation struct {
	code  int
	name  string
	rate  int           // bit/s
	train time.Duration // training before data: V.27ter Table 3, V.29 8, V.17 5.1; T.30 preamble apart
	v17   bool
	short bool
	ctl   bool // carries frames of T.30, no page
}

const v21Code = 3

var modulations = []modulation{
	{code: v21Code, name: "v21", rate: 300, ctl: true},
	{code: 24, name: "v27ter/2400", rate: 2400, train: 943 * time.Millisecond},
	{code: 48, name: "v27ter/4800", rate: 4800, train: 708 * time.Millisecond},
	{code: 72, name: "v29/7200", rate: 7200, train: 253 * time.Millisecond},
	{code: 73, name: "v17/7200", rate: 7200, train: 1393 * time.Millisecond, v17: true},
	{code: 74, name: "v17/7200 short", rate: 7200, train: 142 * time.Millisecond, v17: true, short: true},
	{code: 96, name: "v29/9600", rate: 9600, train: 253 * time.Millisecond},
	{code: 97, name: "v17/9600", rate: 9600, train: 1393 * time.Millisecond, v17: true},
	{code: 98, name: "v17/9600 short", rate: 9600, train: 142 * time.Millisecond, v17: true, short: true},
	{code: 121, name: "v17/12000", rate: 12000, train: 1393 * time.Millisecond, v17: true},
	{code: 122, name: "v17/12000 short", rate: 12000, train: 142 * time.Millisecond, v17: true, short: true},
	{code: 145, name: "v17/14400", rate: 14400, train: 1393 * time.Millisecond, v17: true},
	{code: 146, name: "v17/14400 short", rate: 14400, train: 142 * time.Millisecond, v17: true, short: true},
}

// v21 is the control channel.
var v21 = &modulations[0]

// Signals without data.
var (
	toneCED = &modulation{name: "ced"} // T.30 4.3.3.1: 2100 Hz
	toneCNG = &modulation{name: "cng"} // T.30 4.3.3.2: 1100 Hz
	// noiseSignal is what no modem trains on.
	noiseSignal = &modulation{name: "noise"}
)

// modulationOf finds a code of T.31 Table 3.
func modulationOf(code int) (*modulation, bool) {
	for i := range modulations {
		if modulations[i].code == code {
			return &modulations[i], true
		}
	}
	return nil, false
}

// pageCodes are the codes of all high-speed modulations up to rate bit/s.
func pageCodes(rate int, v17 bool) []int {
	var codes []int
	for _, m := range modulations[1:] {
		if m.rate <= rate && (v17 || !m.v17) {
			codes = append(codes, m.code)
		}
	}
	return codes
}

// octets is how many whole octets of the modulation fit in d.
func (m *modulation) octets(d time.Duration) int64 {
	return int64(d) / 8 * int64(m.rate) / int64(time.Second)
}

// duration is how long n octets take.
func (m *modulation) duration(n int64) time.Duration {
	return time.Duration(n * 8 * int64(time.Second) / int64(m.rate))
}

func (m *modulation) String() string { return fmt.Sprintf("%s (%d)", m.name, m.code) }
