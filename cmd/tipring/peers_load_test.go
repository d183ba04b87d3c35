//go:build peers

package main

import "path/filepath"

// spooled are the spool's files of a kind.
func (b *box) spooled(kind string) []string {
	names, _ := filepath.Glob(filepath.Join(b.data, "spool", kind, "*"))
	return names
}
