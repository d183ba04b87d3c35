package virtual

// SerialHabits is a modem's flow control of what its DTE sends. The zero value has RTS/CTS from the start: a full buffer makes the DTE wait.
type SerialHabits struct {
	// StartsXonXoff: a reset (ATZ, AT&F) leaves it with XON/XOFF, as a profile stored in it may. A DTE that does not keep to that loses what it
	// sends into a full buffer.
	StartsXonXoff bool
	// ForcesXonXoff: so does entering Class 1. Field: U.S. Robotics.
	ForcesXonXoff bool
	// RTSCommand is the one command that turns RTS/CTS on, "&H1"; "": +IFC=2,2 or &K3. Field: U.S. Robotics &H1, MultiTech &E4, ZyXEL &H3.
	RTSCommand string
	// BreaksXonXoff: with XON/XOFF on no XOFF comes, so that a DTE loses data that keeps to it, too. Field: Lucent.
	BreaksXonXoff bool
}

// flowControl takes notice of a command that turns RTS/CTS on.
func (m *Modem) flowControl(c command) {
	on := m.opts.RTSCommand == c.name+c.arg
	if m.opts.RTSCommand == "" {
		on = c.name == "&K" && c.arg == "3" || c.name == "+IFC" && c.arg == "2,2"
	}
	if on {
		m.set.xonXoff = false
	}
}

// loses tells whether a full buffer loses what comes: the DTE waits for RTS/CTS, the modem has XON/XOFF.
func (m *Modem) loses(buffered int) bool { return m.set.xonXoff && buffered >= m.opts.Buffer }

// pace tells the DTE by XOFF and XON how full the buffer of its page is.
func (m *Modem) pace(buffered int) {
	switch {
	case !m.set.xonXoff || m.opts.BreaksXonXoff:
	case !m.xoff && buffered >= m.opts.Buffer*3/4:
		m.xoff = true
		m.emit([]byte{xof})
	case m.xoff && buffered <= m.opts.Buffer/4:
		m.xoff = false
		m.emit([]byte{xon})
	}
}
