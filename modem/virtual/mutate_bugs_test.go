//go:build mutate

package virtual_test

// seeded is a bug by name. unit is set where driver and virtual modem get along in spite of it: only the package's own tests are run.
type seeded struct {
	name, file, right, wrong string
	unit                     bool
}

// seeding is a set of bugs and the tests that are to find them: met are those in which driver and virtual modem meet, alone those of
// each side by itself.
type seeding struct {
	title, intro string
	bugs         []seeded
	met, alone   []string
}

var seedings = []seeding{
	{"Class 1", "The Class 1 driver and the virtual modem that tests it share no command parser, DLE or HDLC code. Had they shared it, a mistake would cancel out\nwhere they meet.",
		class1Bugs, []string{"-run", "^TestDriver_EveryRate|^TestDriver_LineFaults|^TestDriver_Drops|^TestDriver_Class10", "."},
		[]string{"-skip", "^TestDriver|^TestConformance|^TestSuite|^TestUnplug|^TestPersonality|^TestSwitchOff|^Fuzz", ".", "../at", "../phone", "../class1", "../../t30/hdlc"}},
	{"Class 2, 2.0 and 2.1", "The modem runs T.30; these are mistakes in what the driver tells it, and in what it makes of the modem's words.",
		class2Bugs, []string{"-run", "^TestSuite_(Send|SeveralDocuments|Poll|Drops|DurableBeforeConfirmed|Refused|SelectivePoll)$/./2", "."}, []string{"../class2"}},
	{"Telephone line", "What all service classes share: setup, dialing, result codes, ringing, caller ID.",
		phoneBugs, []string{"-run", "^TestSuite_Outcomes|^TestPersonality_Calls", "."}, []string{"../phone", "../class1"}},
	{"V.34 fax", "T.30 Annex F in the engine, T.31 Annex B in driver and virtual modem, which share no code there either.",
		v34Bugs, []string{"-run", "^TestV34_", "."}, []string{"-run", "V34|F34", "../at", "../class1", "../../t30"}},
}

var class1Bugs = []seeded{
	{"driver doubles no DLE", "../at/dle.go", "if c == dle {\n\t\t\tdst = append(dst, dle)", "if c == dle && false {\n\t\t\tdst = append(dst, dle)", false},
	{"driver drops a doubled DLE", "../at/dle.go", "case dle:\n\t\t\tput(dle)", "case dle:", false},
	{"driver takes DLE ETX for data", "../at/dle.go", "case etx:\n\t\t\treturn nd, ns, End", "case etx:\n\t\t\tput(etx)", false},
	{"driver knows no CONNECT", "../at/line.go", `"CONNECT": Connect,`, ``, false},
	{"driver takes NO CARRIER for OK", "../at/line.go", `"NO CARRIER": NoCarrier`, `"NO CARRIER": OK`, false},
	{"driver ignores +FCERROR", "../at/line.go", `"+FCERROR": FCError, `, ``, true},
	{"driver's FCS polynomial", "../../t30/hdlc/hdlc.go", "r>>1 ^ 0x8408", "r>>1 ^ 0x8404", false},
	{"driver's FCS high octet first", "../../t30/hdlc/encoder.go", "dst = e.stuffed(dst, byte(f))\n\tdst = e.stuffed(dst, byte(f>>8))", "dst = e.stuffed(dst, byte(f>>8))\n\tdst = e.stuffed(dst, byte(f))", false},
	{"driver inserts a zero after six ones", "../../t30/hdlc/encoder.go", "e.ones == 5", "e.ones == 6", false},
	{"driver's bit order in ECM", "../../t30/hdlc/encoder.go", "bit := uint32(c & 1)\n\t\tc >>= 1", "bit := uint32(c >> 7)\n\t\tc <<= 1", false},
	{"driver's deframer takes out no zero", "../../t30/hdlc/decoder.go", "case ones == 5: // inserted zero", "case ones == 5:\n\t\td.push(0)", false},
	{"driver takes DLE SUB for one DLE", "../at/dle.go", "d.dles = 2", "d.dles = 1", false},
	{"driver drops a shielded XON", "../at/dle.go", "case 0x51: // shielded XON (Class 1.0)\n\t\t\tput(0x11)", "case 0x51:", false},
	{"driver waits for DLE ETX after DLE BEL", "../class1/frames.go", "case mark != at.NoMark:", "case mark == at.End:", true},
	{"modem shields XOFF as XON", "shield.go", "out = append(out, dle, dleXOF)", "out = append(out, dle, dleXON)", false},
	{"modem doubles no DLE", "shield.go", "case b == dle:\n\t\t\tout = append(out, dle, dle)", "case b == dle:\n\t\t\tout = append(out, dle)", false},
	{"modem drops a doubled DLE", "shield.go", "case b == dle:\n\t\treturn append(out, dle), false", "case b == dle:\n\t\treturn out, false", false},
	{"modem's FCS polynomial", "hdlc.go", "r>>1 ^ 0x8408", "r>>1 ^ 0x8404", false},
	{"modem's FCS is not inverted", "hdlc.go", "return ^r", "return r", false},
	{"modem inserts a zero after six ones", "hdlc.go", "if ones == 5 {\n\t\t\t\tp.bit(false)", "if ones == 6 {\n\t\t\t\tp.bit(false)", false},
	{"modem's deframer takes out no zero", "hdlc.go", "stuffed := d.ones == 5", "stuffed := d.ones == 9", false},
	{"modem's bit order", "hdlc.go", "func (d *deframer) push(b byte) {\n\tfor i := range 8 {\n\t\td.bit(b >> i & 1)", "func (d *deframer) push(b byte) {\n\tfor i := range 8 {\n\t\td.bit(b >> (7 - i) & 1)", false},
	{"modem reads numbers wrong", "command.go", "n = n*10 + int(d-'0')", "n = n*8 + int(d-'0')", false},
	{"modem knows no extended commands", "command.go", "case '+', '#', '*', '$', '-':", "case '#', '*', '$', '-':", false},
	{"modem says +FCERROR for no carrier", "modem.go", `{"+FCERROR", "+F4"}`, `{"+FCERR", "+F4"}`, true},
}

var class2Bugs = []seeded{
	// Page data.
	{"received bits not turned round", "../class2/recv.go", "if reversed {", "if reversed && false {", false},
	{"received bits turned round in 2.0 too", "../class2/quirks.go", `q.ReceivedBits != "direct" && d.reversed`, `q.ReceivedBits != "direct"`, false},
	{"no DC1 or DC2 after +FDR's CONNECT", "../class2/recv.go", "if err := c.m.ch.Control(c.ctx, c.q.trigger(c.d)); err != nil {", "if err := c.ctx.Err(); err != nil {", false},
	{"DC1 in 2.0", "../class2/dialect.go", "pageEnd: true, trigger: dc2,", "pageEnd: true, trigger: dc1,", false},
	{"page data before XON", "../class2/send.go", "if !c.d.waitXON || c.q.NoXON {", "if true {", true},
	{"XON awaited in 2.0", "../class2/send.go", "if !c.d.waitXON || c.q.NoXON {", "if c.q.NoXON {", true},
	{"a final result inside the page passed over", "../class2/feed.go", "if l.Code.Final() || c.hung != nil {", "if false {", true},
	{"CAN inside the page passed over", "../class2/feed.go", "c.m.ch.Cancels() > cans", "c.m.ch.Cancels() < cans", true},
	{"a page given up ends as if it were whole", "../class2/hook.go", "inPage := c.state == inSending", "inPage := false", true},
	{"return to control stays with NoRTC", "../class2/feed.go", "if c.q.NoRTC && !c.rep.ECM {", "if false {", true},
	// What follows a page.
	{"EOP after each page", "../class2/document.go", "t.follow = postMPS\n", "t.follow = postEOP\n", false},
	{"MPS before another format", "../class2/document.go", "if a.format != t.format {\n\t\t\t\tt.follow = postEOM", "if a.format != t.format {\n\t\t\t\tt.follow = postMPS", false},
	{"EOP before another document", "../class2/document.go", "if t.next != nil || c.s.Poll", "if c.s.Poll", false},
	{"EOP before polling", "../class2/document.go", "if t.next != nil || c.s.Poll != nil && c.caller", "if t.next != nil || c.s.Poll != nil && false", false},
	{"EOM and EOP exchanged in Class 2", "../class2/dialect.go", "postEOM  post = 1\n\tpostEOP  post = 2", "postEOM  post = 2\n\tpostEOP  post = 1", false},
	{"MPS and EOP exchanged in 2.0", "../class2/dialect.go", "postMPS: 0x2c, postEOM: 0x3b, postEOP: 0x2e", "postMPS: 0x2e, postEOM: 0x3b, postEOP: 0x2c", false},
	{"PRI-EOP not taken for EOP", "../class2/dialect.go", "if p >= 4 && p <= 6 {", "if false {", true},
	{"PPS-NULL taken for a page's end", "../class2/recv.go", "if c.post == postNull {", "if false {", true},
	// The answer to a page sent.
	{"+FPTS passed over", "../class2/reply.go", "c.status = status(n)", "_ = n", false},
	{"the status before counts again", "../class2/send.go", "c.status, t.doubt = statusNone, t.last", "t.doubt = t.last", true},
	{"RTN taken for MCF", "../class2/send.go", "case statusRTN:\n\t\treturn c.refused", "case statusRTN:\n\t\treturn c.confirmed", false},
	{"PIN taken for MCF", "../class2/send.go", "case statusMCF, statusPIP:\n\t\treturn c.confirmed", "case statusMCF, statusPIP, statusPIN:\n\t\treturn c.confirmed", true},
	{"RTP trains no lower", "../class2/send.go", "case poor:\n\t\tt.br = max(0, c.dcs[pBR]-1)\n\t\treturn c.negotiate", "case poor:", true},
	{"RTN sends again at the same rate", "../class2/send.go", "t.follow == postEOM && !t.last\n\tt.br = max(0, c.dcs[pBR]-1)", "t.follow == postEOM && !t.last\n\tt.br = c.dcs[pBR]", true},
	{"RTN without an end", "../class2/send.go", "if again && t.resends < t30.MaxResends {", "if again {", false},
	{"no doubt after the last page", "../class2/send.go", "c.status, t.doubt = statusNone, t.last", "c.status, t.doubt = statusNone, false", true},
	{"doubt after a page cut off", "../class2/call.go", "if h.inPage {", "if false {", true},
	{"a normal hang-up is a confirmation", "../class2/send.go", "if c.status != statusNone {", "if c.hung != nil && c.hung.code == t30.CodeOK {\n\t\tc.status = statusMCF\n\t}\n\tif c.status != statusNone {", true},
	{"2.0's ERROR taken for MCF", "../class2/send.go", "c.askStatus(l.Code == at.OK)", "c.askStatus(true)", false},
	{"not recorded before the command that may confirm it", "../class2/send.go", "if err := t.src.Sent(t.n); err != nil {", "if err := c.ctx.Err(); err != nil {", false},
	// The answer to a page received.
	{"+FDR before the page is durable", "../class2/recv.go", "if err := c.finish(c.ctx, v); err != nil {\n\t\treturn c.sinkFailed(err)\n\t}\n\tr.octets", "w := r.w\n\tr.w = nil\n\tgo w.Finish(c.ctx, v)\n\tr.octets", false},
	{"our verdict is not told", "../class2/recv.go", "if c.status == want {", "if true {", false},
	{"every page is good", "../class2/recv.go", "case !ecm && !c.q.TrustQuality:", "case false:", false},
	{"a bad page that is confirmed all the same", "../class2/recv.go", "} else if c.status.taken() {", "} else if false {", true},
	{"a page without a line is a page", "../class2/recv.go", "if r.octets == 0 || !ecm && r.w.Quality().Empty() {", "if false {", true},
	{"the end of the call is the end of the pages", "../class2/recv.go", "if r.done && r.answer.taken() && r.post != postMPS {", "if r.done && r.answer.taken() {", true},
	// Parameters and hang-up codes.
	{"2.0's parameters are decimal", "../class2/dialect.go", "hex: true, vrMask: true", "hex: false, vrMask: true", true},
	{"VR is a choice in 2.0", "../class2/dialect.go", "hex: true, vrMask: true", "hex: true, vrMask: false", true},
	{"the DCS asked for is taken for the one agreed", "../class2/send.go", "if t.format == f {\n\t\treturn nil\n\t}", "if true {\n\t\treturn nil\n\t}", true},
	{"2.0's hang-up codes are decimal", "../class2/hangup.go", "base = 16", "base = 10", true},
	{"2.0's hang-up codes are Class 2's", "../class2/dialect.go", "hangupTable: 1, pageEnd", "hangupTable: 0, pageEnd", true},
	{"27: no answer to DCS", "../class2/hangup.go", `{27, 0x27, t30.CodeTraining,`, `{27, 0x27, t30.CodeNoReplyDCS,`, false},
	{"an unknown hang-up code of phase D is one of phase C", "../class2/hangup.go", "{69, 0x6f, t30.CodeNoReplyPage, false}", "{69, 0x6f, t30.CodeHungUpC, true}", true},
	{"no +FK at the end", "../class2/hook.go", "err == nil && c.hung == nil && !inPage {", "false {", true},
	// Polling and addresses.
	{"a wrong password is let in", "../class2/recv.go", `case c.s.NeedPassword != "" && c.far.Password != c.s.NeedPassword:`, "case false:", true},
	{"a poller's wrong password is let in", "../class2/send.go", `if polled && c.s.NeedPassword != "" && c.far.Password != c.s.NeedPassword {`, "if false {", true},
	{"the polling address is not told", "../class2/plan.go", "sep, pwd = s.Poll.Selective, s.Poll.Password", "pwd = s.Poll.Password", false},
	{"+FPOLL passed over", "../class2/reply.go", "c.far.CanPoll = true", "c.far.CanPoll = false", false},
}

var phoneBugs = []seeded{
	// Ringing.
	{"caller ID behind the first RING is lost", "../phone/ring.go", "call.add(line.Text)", "_ = line.Text", true},
	{"caller ID of a call before", "../phone/ring.go", "if r.At.Sub(told) > freshRing {", "if told.IsZero() {", true},
	{"a withheld number is unavailable", "../phone/callinfo.go", "return Withheld", "return Unavailable", true},
	{"a name's reason of absence is a name", "../phone/callinfo.go", "case at.KeyName:\n\t\tif absence(value) == \"\" {", "case at.KeyName:\n\t\tif true {", true},
	{"MDMF's lengths passed over", "../phone/callinfo.go", "b = b[2+n:]", "b = b[2:]", true},
	{"SDMF begins with the date", "../phone/callinfo.go", "c.number(plain(b[8:]))", "c.number(plain(b))", true},
	{"the cadence of the ring before counts again", "../phone/callinfo.go", "c.cadence = nil\n", "", true},
	{"no slack in a ringing pattern", "../phone/pattern.go", "patternSlack    = 2", "patternSlack    = 0", true},
	{"a pattern's lengths are not compared", "../phone/pattern.go", "if len(w) != len(g) {\n\t\treturn false\n\t}\n\tfor i := range w {", "for i := range min(len(w), len(g)) {", true},
	{"the ringing stops after minutes", "../phone/ring.go", "const ringEnd = 8 * time.Second", "const ringEnd = 8 * time.Minute", true},
	// Dialing.
	{"BUSY is no answer", "../phone/result.go", "code = t30.CodeBusy", "code = t30.CodeNoAnswer", false},
	{"a telephone in use is a busy number", "../phone/result.go", "code = t30.CodeLineInUse", "code = t30.CodeBusy", true},
	{"no line is no dial tone", "../phone/result.go", "code = t30.CodeNoLine", "code = t30.CodeNoDialTone", true},
	{"silence after the ringing is no answer", "../phone/result.go", "case l.At.Sub(rang) < freshRing:", "case true:", true},
	{"a voice is not told from silence", "../phone/result.go", "case r.Code == at.Voice && !dialing:", "case false:", true},
	{"RING in answer to ATD is passed over", "../phone/result.go", "if r.Code == at.Ring && dialing && time.Since(r.At) < freshRing {", "if false {", true},
	{"RING before ATD is passed over", "../phone/dial.go", "if u.Code == at.Ring && time.Since(u.At) < freshRing {", "if u.Code == at.Busy && time.Since(u.At) < freshRing {", true},
	{"an old RING stops a call", "../phone/dial.go", "if u.Code == at.Ring && time.Since(u.At) < freshRing {", "if u.Code == at.Ring && time.Since(u.At) < time.Hour {", true},
	{"what rang while dialing is forgotten", "../phone/result.go", "\t\t\tl.keep(r)\n", "", true},
	{"the pause behind a prefix is left out", "../phone/dial.go", `case strings.ContainsRune(",W!@TP", r):`, `case r == ',':
		case strings.ContainsRune("W!@TP", r):`, true},
	{"pulses are tones", "../phone/dial.go", `mode = "P"`, `mode = "T"`, true},
	{"a number without digits is dialed", "../phone/dial.go", "if digits == 0 || b.Len() > maxDigits {", "if b.Len() > maxDigits {", true},
	// Setup and hanging up.
	{"a shared line is dialed blind", "../phone/phone.go", "if l.cfg.BlindDial && !l.cfg.Shared {", "if l.cfg.BlindDial {", true},
	{"a shared line is not looked at", "../phone/phone.go", "if l.cfg.Shared {", "if false {", true},
	{"caller ID is not turned on", "../phone/phone.go", "lists := [][]string{orDefault(q.CallerID, callerIDCommands)}", "lists := [][]string{}", true},
	{"distinctive ring is not turned on", "../phone/phone.go", "if l.cfg.Patterns {", "if false {", true},
	{"the country is set each time", "../phone/country.go", `return strings.EqualFold(strings.Trim(value, "()\" "), want)`, `return value == "no"`, true},
	{"no reset after DTR", "../phone/hook.go", "l.dirty.Store(true)\n", "", true},
	{"no call is given up in order", "../phone/result.go", "l.abandon()\n", "", true},
	{"the modem stays off hook after a call that came to nothing", "../phone/result.go", "if l.OnHook(hctx) != nil {", "if hctx.Err() != nil {", true},
}
