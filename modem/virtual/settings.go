package virtual

// settings are what AT&F and ATZ restore.
type settings struct {
	echo       bool
	verbose    bool
	quiet      bool
	x          int
	dtr        int // AT&D
	s          [256]byte
	class      string // "0", "1", "1.0"
	far        bool   // +FAR=1: +FRM takes V.21 as well
	fdd        bool   // +FDD=1
	flo        int    // +FLO: 0 none, 1 XON/XOFF, 2 RTS/CTS
	fcl        int    // +FCL: carrier loss time, units of 0.1 s
	callerID   bool
	lineStatus bool   // AT-STE=1, AT%V2
	adaptive   bool   // +FAE=1
	country    string // +GCI, "" as after power-on
	pulse      bool   // ATP
	t2         class2Settings
	xonXoff    bool // the DTE's data is paced by XON/XOFF
	patterns   bool // distinctive rings are told
	v34        v34Settings
}

// factory are the settings after power-on.
func (m *Modem) factory() settings {
	st := settings{echo: true, verbose: true, x: 4, dtr: 2, class: "0", xonXoff: m.opts.StartsXonXoff}
	for n, v := range map[int]byte{2: 43, 3: '\r', 4: '\n', 5: 8, 6: 2, 7: 60, 8: 2, 9: 6, 10: 14, 11: 95, 12: 50} {
		st.s[n] = v
	}
	return st
}

// class1 tells whether Class 1 or 1.0 is on.
func (st *settings) class1() bool { return st.class == "1" || st.class == "1.0" }

// fax tells whether a facsimile class is on.
func (st *settings) fax() bool { return st.class1() || dialectOf(st.class) != nil }
