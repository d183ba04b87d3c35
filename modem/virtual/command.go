package virtual

import "strings"

// maxLine is the longest command line.
const maxLine = 1024

// lineReader collects command lines from the DTE's octets (V.250 5.2): prefix AT or A/, until S3, with S5 as backspace.
type lineReader struct {
	state  readState
	line   []byte
	last   string // for A/
	wasCR  bool   // the last octet ended a line: a line feed after it is no input
	tooBig bool
}

type readState int

const (
	readA readState = iota
	readT
	readBody
)

// skipLF tells whether b is the line feed some DTEs send after S3.
func (r *lineReader) skipLF(b byte) bool {
	was := r.wasCR
	r.wasCR = false
	return was && b == '\n'
}

// octet takes one octet; done tells that line is a whole command line, ok that it was not too long.
func (r *lineReader) octet(b, cr, bs byte) (line string, done, ok bool) {
	switch r.state {
	case readA:
		if b|0x20 == 'a' {
			r.state = readT
		}
	case readT:
		switch {
		case b|0x20 == 't':
			r.state, r.line, r.tooBig = readBody, r.line[:0], false
		case b == '/':
			r.state = readA
			return r.last, true, true
		case b|0x20 != 'a':
			r.state = readA
		}
	case readBody:
		switch {
		case b == cr:
			r.state, r.wasCR = readA, true
			if r.tooBig {
				return "", true, false
			}
			r.last = string(r.line)
			return r.last, true, true
		case b == bs:
			if len(r.line) > 0 {
				r.line = r.line[:len(r.line)-1]
			}
		case b < ' ': // V.250 5.2.2: control characters are ignored
		case len(r.line) == maxLine:
			r.tooBig = true
		default:
			r.line = append(r.line, b)
		}
	}
	return "", false, false
}

// command is one command of a line.
type command struct {
	name string // "E", "&D", "S7", "D", "+FCLASS"
	op   byte   // 0: action, '=' set, '?' read, 't' test (=?)
	arg  string // digits of a basic command, value of an extended one, dial string
}

// num is arg as a number; absent is def, no number -1.
func (c command) num(def int) int {
	if c.arg == "" {
		return def
	}
	n := 0
	for i := 0; i < len(c.arg); i++ {
		d := c.arg[i]
		if d < '0' || d > '9' || n > 100000 {
			return -1
		}
		n = n*10 + int(d-'0')
	}
	return n
}

// parseLine splits a command line after AT (V.250 5.3, 5.4). ok is false if what follows the returned commands makes
// no sense; they are carried out all the same before the ERROR.
func parseLine(s string) (cmds []command, ok bool) {
	for {
		s = strings.TrimLeft(s, " ;")
		if s == "" {
			return cmds, true
		}
		var c command
		var good bool
		switch upper(s[0]) {
		case '+', '#', '*', '$', '-':
			c, s, good = parseExtended(s)
		case 'D':
			return append(cmds, command{name: "D", arg: strings.TrimSpace(s[1:])}), true
		case 'S':
			c, s, good = parseRegister(s[1:])
		default:
			c, s, good = parseBasic(s)
		}
		if !good {
			return cmds, false
		}
		cmds = append(cmds, c)
	}
}

func parseBasic(s string) (c command, rest string, ok bool) {
	n := 1
	if s[0] == '&' || s[0] == '%' || s[0] == '\\' {
		n = 2
	}
	if len(s) < n || upper(s[n-1]) < 'A' || upper(s[n-1]) > 'Z' {
		return c, s, false
	}
	c.name = strings.ToUpper(s[:n])
	s = s[n:]
	if c.name == "O" && strings.HasPrefix(s, "?") {
		c.op = '?'
		return c, s[1:], true
	}
	c.arg, s = digits(s)
	return c, s, true
}

// parseRegister parses Sn, Sn? and Sn=v after the S.
func parseRegister(s string) (c command, rest string, ok bool) {
	n, s := digits(s)
	c.name = "S" + n
	s = strings.TrimLeft(s, " ")
	switch {
	case strings.HasPrefix(s, "?"):
		c.op = '?'
		s = s[1:]
	case strings.HasPrefix(s, "="):
		c.op = '='
		c.arg, s = digits(strings.TrimLeft(s[1:], " "))
	}
	return c, s, n != "" && len(n) <= 3
}

// parseExtended parses +NAME, +NAME?, +NAME=?, +NAME=value up to a semicolon or the end.
func parseExtended(s string) (c command, rest string, ok bool) {
	body, rest := splitExtended(s)
	body = strings.TrimSpace(body)
	i := strings.IndexAny(body, "=?")
	if i < 0 {
		i = len(body)
	}
	c.name = strings.ToUpper(strings.TrimSpace(body[:i]))
	switch tail := strings.TrimSpace(body[i:]); {
	case tail == "":
	case tail == "?":
		c.op = '?'
	case tail == "=?":
		c.op = 't'
	case tail[0] == '=':
		c.op, c.arg = '=', strings.TrimSpace(tail[1:])
	default:
		return c, rest, false
	}
	return c, rest, len(c.name) > 1
}

// splitExtended cuts off what follows an extended command: after a semicolon, or the next +F, since Class 2 lets the semicolon be left out.
// Neither counts between quotation marks.
func splitExtended(s string) (body, rest string) {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted:
		case s[i] == ';':
			return s[:i], s[i+1:]
		case s[i] == '+' && i+1 < len(s) && upper(s[i+1]) == 'F':
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// digits splits leading digits from s.
func digits(s string) (num, rest string) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return s[:i], s[i:]
}

func upper(b byte) byte {
	if b >= 'a' && b <= 'z' {
		return b - 0x20
	}
	return b
}
