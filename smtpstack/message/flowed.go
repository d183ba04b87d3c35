package message

import "strings"

// unflow joins the lines that a mail program broke only to keep them short (format=flowed, RFC 3676 4): a paragraph
// comes back as one line, to be broken anew for the page. Quoted lines join within their depth.
func unflow(s string, delsp bool) string {
	var b strings.Builder
	b.Grow(len(s))
	open, depth := false, 0 // the line before flows on, at this depth of quotes
	for line := range strings.SplitAfterSeq(s, "\n") {
		if line == "" {
			break // behind the last line end
		}
		text, end := strings.CutSuffix(line, "\n")
		quotes := len(text) - len(strings.TrimLeft(text, ">"))
		content := strings.TrimPrefix(text[quotes:], " ") // space-stuffing
		signature := content == "-- "                     // RFC 3676 4.3: never joined
		if open && (quotes != depth || signature) {
			b.WriteByte('\n')
			open = false
		}
		if !open && quotes > 0 {
			b.WriteString(text[:quotes] + " ")
		}
		flows := strings.HasSuffix(content, " ") && !signature && end
		if flows && delsp {
			content = content[:len(content)-1]
		}
		b.WriteString(content)
		if end && !flows {
			b.WriteByte('\n')
		}
		open, depth = flows, quotes
	}
	if open {
		b.WriteByte('\n')
	}
	return b.String()
}
