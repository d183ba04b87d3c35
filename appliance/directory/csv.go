package directory

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tipring/tipring/appliance/store"
)

// columns are those of an export, in its order; see Import for what stands in them.
var columns = []column{
	{"kind", nil, func(e Entry) string { return string(e.Kind) }},
	{"name", nil, func(e Entry) string { return e.Name }},
	{"aliases", func(e *Entry, v string) error { e.Aliases = split(v); return nil }, func(e Entry) string { return join(e.Aliases) }},
	{"display_name", func(e *Entry, v string) error { e.Display = v; return nil }, func(e Entry) string { return e.Display }},
	{"groups", func(e *Entry, v string) error { e.Groups = split(v); return nil }, func(e Entry) string { return join(e.Groups) }},
	{"fax", setFax, showFax},
	{"to", limit(func(p *Permission, v string) error { p.To = split(v); return nil }), show(func(p Permission) string { return join(p.To) })},
	{"not_to", limit(func(p *Permission, v string) error { p.NotTo = split(v); return nil }), show(func(p Permission) string { return join(p.NotTo) })},
	{"hours", limit(func(p *Permission, v string) (err error) { p.Hours, err = ParseHours(v); return err }), show(func(p Permission) string { return p.Hours.String() })},
	{"time_zone", limit(func(p *Permission, v string) error { p.Zone = v; return nil }), show(func(p Permission) string { return p.Zone })},
	{"max_pages", number(func(p *Permission) *int { return &p.MaxPages }), showNumber(func(p Permission) int { return p.MaxPages })},
	{"pages_per_day", number(func(p *Permission) *int { return &p.PagesPerDay }), showNumber(func(p Permission) int { return p.PagesPerDay })},
	{"faxes_per_day", number(func(p *Permission) *int { return &p.FaxesPerDay }), showNumber(func(p Permission) int { return p.FaxesPerDay })},
	{"note", func(e *Entry, v string) error { e.Note = v; return nil }, func(e Entry) string { return e.Note }},
}

// column is one column: how its cell changes an entry, and what stands in it. Cells are set in the order of columns.
type column struct {
	name string
	set  func(*Entry, string) error
	show func(Entry) string
}

func setFax(e *Entry, v string) error {
	switch strings.ToLower(v) {
	case "":
		e.Permission = nil
	case "no":
		e.Permission = &Permission{Deny: true}
	case "yes":
		if e.Permission == nil || e.Permission.Deny {
			e.Permission = &Permission{}
		}
	default:
		return fmt.Errorf("%w: fax is yes, no or empty, not %.20q", ErrEntry, v)
	}
	return nil
}

func showFax(e Entry) string {
	switch {
	case e.Permission == nil:
		return ""
	case e.Permission.Deny:
		return "no"
	}
	return "yes"
}

// limit sets a part of the permission, which column fax made.
func limit(set func(*Permission, string) error) func(*Entry, string) error {
	return func(e *Entry, v string) error {
		if e.Permission == nil {
			if v != "" {
				return fmt.Errorf("%w: %.40q without yes in column fax", ErrEntry, v)
			}
			return nil
		}
		return set(e.Permission, v)
	}
}

func number(field func(*Permission) *int) func(*Entry, string) error {
	return limit(func(p *Permission, v string) error {
		*field(p) = 0
		if v == "" {
			return nil
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxLimit {
			return fmt.Errorf("%w: limit %.20q: use 1 to %d, or nothing for none", ErrEntry, v, maxLimit)
		}
		*field(p) = n
		return nil
	})
}

func show(f func(Permission) string) func(Entry) string {
	return func(e Entry) string {
		if e.Permission == nil {
			return ""
		}
		return f(*e.Permission)
	}
}

func showNumber(f func(Permission) int) func(Entry) string {
	return show(func(p Permission) string {
		if n := f(p); n > 0 {
			return strconv.Itoa(n)
		}
		return ""
	})
}

func join(list []string) string { return strings.Join(list, "|") }

func split(v string) []string {
	var list []string
	for _, s := range strings.FieldsFunc(v, func(r rune) bool { return r == '|' || r == '\n' || r == '\r' }) {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// formula tells of a cell that a spreadsheet would take for a formula, or that begins with our guard against that.
func formula(cell string) bool {
	cell = strings.TrimLeft(cell, "'")
	return cell != "" && strings.IndexByte("=+-@", cell[0]) >= 0
}

// guard keeps a spreadsheet from computing cells, and so from making the number 49 of +49.
func guard(cell string) string {
	if formula(cell) {
		return "'" + cell
	}
	return cell
}

func unguard(cell string) string {
	cell = strings.TrimSpace(cell)
	if strings.HasPrefix(cell, "'") && formula(cell) {
		return cell[1:]
	}
	return cell
}

// Export writes the table as CSV (RFC 4180, UTF-8, CRLF) with all columns. For Excel in Europe: bom, and ';' as comma.
// A cell that begins like a formula has an apostrophe before it, which Import takes off.
func (d *Directory) Export(w io.Writer, comma rune, bom bool) error {
	list, err := d.List()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	if bom {
		out.WriteString(utf8BOM)
	}
	c := csv.NewWriter(out)
	c.UseCRLF, c.Comma = true, comma
	head := make([]string, len(columns))
	for i, col := range columns {
		head[i] = col.name
	}
	if err := c.Write(head); err != nil {
		return fmt.Errorf("directory: export: %w", err)
	}
	row := make([]string, len(columns))
	for _, e := range list {
		for i, col := range columns {
			row[i] = guard(col.show(e))
		}
		if err := c.Write(row); err != nil {
			return fmt.Errorf("directory: export: %w", err)
		}
	}
	c.Flush()
	if err := errors.Join(c.Error(), out.Flush()); err != nil {
		return fmt.Errorf("directory: export: %w", err)
	}
	return nil
}

const (
	utf8BOM     = "\xef\xbb\xbf"
	maxCSV      = 16 << 20
	maxFaults   = 200
	maxCell     = 64 << 10
	faultsAbove = "further lines are wrong too"
)

// Fault is what is wrong with one line of a file.
type Fault struct {
	Line int // from 1; of a row on several lines the first
	Err  error
}

func (f Fault) Error() string { return fmt.Sprintf("line %d: %v", f.Line, f.Err) }

// ImportError is all that is wrong with a file; nothing of it was imported. It is an ErrEntry.
type ImportError struct{ Faults []Fault }

func (e *ImportError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "directory: import: faults in %d places, nothing was imported", len(e.Faults))
	for _, f := range e.Faults {
		b.WriteString("\n" + f.Error())
	}
	return b.String()
}

// Unwrap returns ErrEntry.
func (e *ImportError) Unwrap() error { return ErrEntry }

func (e *ImportError) add(line int, format string, args ...any) {
	switch len(e.Faults) {
	case maxFaults:
		e.Faults = append(e.Faults, Fault{line, errors.New(faultsAbove)})
	default:
		if len(e.Faults) < maxFaults {
			e.Faults = append(e.Faults, Fault{line, fmt.Errorf(format, args...)})
		}
	}
}

// row is one line of a file: the cells by column, nil for a column the file has not.
type row struct {
	line  int
	kind  Kind
	name  string
	cells []*string
}

// readRows reads a file. All that is wrong with it goes to faults.
func readRows(data []byte, faults *ImportError) []row {
	data = bytes.TrimPrefix(data, []byte(utf8BOM))
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		faults.add(1, "the file is UTF-16: save it as \"CSV UTF-8\"")
		return nil
	}
	for n, text := range bytes.Split(data, []byte("\n")) {
		if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
			faults.add(n+1, "not UTF-8 text: save the file as \"CSV UTF-8\"")
		}
	}
	if len(faults.Faults) > 0 {
		return nil
	}
	skipped := 0
	comma, data, declared := declaredComma(data)
	if declared {
		skipped = 1
	}
	if comma == 0 {
		comma = guessComma(data)
	}
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = comma, -1, true
	head, err := r.Read()
	if err != nil {
		faults.add(1+skipped, "no line with the names of the columns")
		return nil
	}
	where := readHead(head, 1+skipped, faults)
	if len(faults.Faults) > 0 {
		return nil
	}
	return readBody(r, where, skipped, faults)
}

// readHead returns for each field of the file its column.
func readHead(head []string, line int, faults *ImportError) []int {
	where := make([]int, len(head))
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(name))
		where[i] = slices.IndexFunc(columns, func(c column) bool { return c.name == name })
		switch {
		case where[i] < 0:
			faults.add(line, "unknown column %.40q", name)
		case slices.Contains(where[:i], where[i]):
			faults.add(line, "column %s stands there twice", name)
		}
	}
	for i, c := range columns[:2] {
		if !slices.Contains(where, i) {
			faults.add(line, "column %s is missing", c.name)
		}
	}
	return where
}

func readBody(r *csv.Reader, where []int, skipped int, faults *ImportError) []row {
	var rows []row
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			faults.add(bad.StartLine+skipped, "%v", bad.Err)
			return rows // what follows an open quote means nothing
		}
		line, _ := r.FieldPos(0)
		line += skipped
		if blank(rec) {
			continue
		}
		if len(rec) != len(where) {
			faults.add(line, "%d cells under %d columns", len(rec), len(where))
			continue
		}
		if len(rows) >= maxEntries {
			faults.add(line, "more than %d lines", maxEntries)
			return rows
		}
		row := row{line: line, cells: make([]*string, len(columns))}
		for i, cell := range rec {
			if len(cell) > maxCell {
				faults.add(line, "a cell of more than %d octets", maxCell)
			}
			cell = unguard(cell)
			row.cells[where[i]] = &cell
		}
		row.kind, row.name = Kind(strings.ToLower(*row.cells[0])), *row.cells[1]
		rows = append(rows, row)
	}
}

// blank tells of a line that a spreadsheet left empty.
func blank(rec []string) bool {
	return !slices.ContainsFunc(rec, func(cell string) bool { return strings.TrimSpace(cell) != "" })
}

// declaredComma reads the line "sep=;" with which Excel is told the separator.
func declaredComma(data []byte) (comma rune, rest []byte, declared bool) {
	line, rest, _ := bytes.Cut(data, []byte("\n"))
	sep, ok := strings.CutPrefix(strings.ToLower(string(bytes.TrimRight(line, "\r"))), "sep=")
	if !ok || len(sep) != 1 || !strings.Contains(commas, sep) {
		return 0, data, false
	}
	return rune(sep[0]), rest, true
}

const commas = ",;\t"

// guessComma takes the separator that the first line has most of; the names of the columns have none of them.
func guessComma(data []byte) rune {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	best, most := ',', 0
	for _, c := range commas {
		if n := bytes.Count(line, []byte(string(c))); n > most {
			best, most = c, n
		}
	}
	return best
}

// ImportOptions tune Import.
type ImportOptions struct {
	Replace bool // entries that the file does not name are taken out
	DryRun  bool // only look at what would change
}

// ImportResult counts what an import changed, or would change.
type ImportResult struct{ Added, Changed, Removed, Same int }

// Import reads a CSV file (RFC 4180, UTF-8 with or without BOM; comma, semicolon or tab between the cells, as the first
// line has them): all of it, or nothing and an *ImportError with all that is wrong. The first line names the columns, in
// any order; only kind and name must be there, and what has no column stays as it is.
//
//	kind           user, group, domain or everyone
//	name           mail address, name of the group, domain, or *
//	aliases        user, group: further mail addresses
//	display_name   user: the person's name
//	groups         user: names of groups
//	fax            yes: the limits to the right; no: may not fax; empty: the entry has no permission of its own
//	to             numbers that may be dialed, as first digits ("+49*"); empty: all
//	not_to         numbers that may not
//	hours          "Mon-Fri 08:00-18:00, Sat 09:00-12:00"; empty: always
//	time_zone      of the hours, like Europe/Berlin; empty: the appliance's
//	max_pages      of one fax; empty: no limit
//	pages_per_day  likewise
//	faxes_per_day  likewise
//	note           for people
//
// Several values in one cell stand with | between them or on lines of their own.
func (d *Directory) Import(r io.Reader, o ImportOptions) (ImportResult, error) {
	var res ImportResult
	data, err := io.ReadAll(io.LimitReader(r, maxCSV+1))
	if err != nil {
		return res, fmt.Errorf("directory: import: %w", err)
	}
	faults := &ImportError{}
	if len(data) > maxCSV {
		faults.add(1, "the file is larger than %d MiB", maxCSV>>20)
		return res, faults
	}
	rows := readRows(data, faults)
	errDry := errors.New("dry run")
	err = d.st.Update(func(tx *store.Tx) error {
		m := merge{faults: faults, old: map[string]Entry{}, now: map[string]Entry{}, lines: map[string]int{}}
		if err := m.load(tx); err != nil {
			return err
		}
		m.apply(rows, o.Replace)
		m.checkAddresses()
		if len(faults.Faults) > 0 {
			slices.SortStableFunc(faults.Faults, func(a, b Fault) int { return a.Line - b.Line })
			return faults
		}
		if res, err = m.write(tx); err == nil && o.DryRun {
			err = errDry
		}
		return err
	})
	if errors.Is(err, errDry) {
		err = nil
	}
	if err != nil {
		res = ImportResult{}
	}
	return res, wrap("import", err)
}
