package phone

import "slices"

// warn keeps a sentence for people about what the modem does not do, one of each kind.
func (l *Line) warn(kind, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.warnings == nil {
		l.warnings = map[string]string{}
	}
	if l.warnings[kind] != text {
		l.warnings[kind] = text
		l.ch.Note("warning: %s", text)
	}
}

// Warnings are sentences for people about what was asked for and the modem does not do.
func (l *Line) Warnings() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []string
	for _, w := range l.warnings {
		list = append(list, w)
	}
	slices.Sort(list)
	return list
}
