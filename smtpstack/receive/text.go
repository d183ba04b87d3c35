package receive

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// body is a message on its way in, read from the wire and not from go-smtp's reader, which goes octet by octet.
type body interface {
	// copyTo gives the message out. Its error is that of the writer, or the connection is over.
	copyTo(out io.Writer) error
	// drop reads what copyTo left.
	drop() error
}

// text is a message that comes by DATA (RFC 5321 4.1.1.4). Only CR LF . CR LF ends it, and only after CR LF is a dot taken
// off a line (4.5.2).
type text struct{ w *wire }

func (t text) copyTo(out io.Writer) error {
	for {
		line, err := t.next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			_ = t.w.hangUp(err)
			return io.ErrUnexpectedEOF
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
}

func (t text) drop() error {
	for t.w.phase == data {
		if _, err := t.next(); err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}

// next reads a line, or a piece of a long one; io.EOF is the message's end.
func (t text) next() ([]byte, error) {
	w := t.w
	if err := w.flushBeforeWait(); err != nil {
		return nil, err
	}
	line, err := w.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		if line[len(line)-1] == '\r' { // to be seen with what follows
			line, err = line[:len(line)-1], w.r.UnreadByte()
		} else {
			err = nil
		}
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	if w.budget -= int64(len(line)); w.budget < 0 {
		return nil, errFlood
	}
	begins := w.lineStart
	w.lineStart = bytes.HasSuffix(line, crlf)
	if begins && line[0] == '.' {
		if string(line) == ".\r\n" {
			w.phase, w.whole = commands, true
			return nil, io.EOF
		}
		line = line[1:]
	}
	return line, nil
}
