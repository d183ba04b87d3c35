package at

import "strings"

// passwords are the commands and answers that carry one (T.32 8.5.2.5: +FPW).
const passwords = "+FPW"

// hidden is a line for a transcript: without the password in it.
func hidden(text string) string {
	i := strings.Index(strings.ToUpper(text), passwords)
	if i < 0 {
		return text
	}
	end := i + len(passwords)
	if end == len(text) || text[end] == '?' || strings.HasPrefix(text[end:], "=?") {
		return text
	}
	return text[:end+1] + "(hidden)"
}
