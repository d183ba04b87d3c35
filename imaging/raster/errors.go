package raster

import (
	"context"
	"errors"
)

// Why a document could not become pages. The texts stand in notices to people who know nothing of computers.
var (
	// ErrUnsupported is returned when the document's type cannot be rendered; the error names the type.
	ErrUnsupported = errors.New("this type of document cannot be faxed, please send it as PDF")
	// ErrEncrypted is returned when a document needs a password to open.
	ErrEncrypted = errors.New("the document is protected by a password")
	// ErrBroken is returned when a document's data is damaged, or crashed its decoder.
	ErrBroken = errors.New("the document is damaged and cannot be read")
	// ErrNotFaxPages is returned with Options.FaxPages when the document is not a TIFF of undamaged fax pages.
	ErrNotFaxPages = errors.New("the document is not made of fax pages")
	// ErrNoFont is returned when a noticeable part of a document's text is in a script that no font here has: more than one
	// letter in 50, or ten in a row. The error names the script.
	ErrNoFont = errors.New("this appliance has no font for a writing in the document")
	// ErrTooLarge is returned when a document, or a picture once unpacked, is over the size limit.
	ErrTooLarge = errors.New("the document is too large to be faxed")
	// ErrTooManyPages is returned when there are more pages than Options.MaxPages.
	ErrTooManyPages = errors.New("the document has more pages than one fax may have")
	// ErrEmpty is returned when a document or a whole job has nothing to print.
	ErrEmpty = errors.New("there is nothing in the document to fax")
	// ErrTimeout is returned when rendering took longer than its time limit.
	ErrTimeout = errors.New("the document took too long to turn into fax pages")
	// ErrMemory is returned when rendering needed more than its memory limit.
	ErrMemory = errors.New("the document needs too much memory to turn into fax pages")
)

// codes are the sentinels' names between child and parent.
var codes = []struct {
	code string
	err  error
}{
	{"unsupported", ErrUnsupported}, {"encrypted", ErrEncrypted}, {"broken", ErrBroken}, {"too-large", ErrTooLarge},
	{"too-many-pages", ErrTooManyPages}, {"empty", ErrEmpty}, {"timeout", ErrTimeout}, {"memory", ErrMemory},
	{"not-fax-pages", ErrNotFaxPages}, {"no-font", ErrNoFont}, {"canceled", context.Canceled},
}

// Failure is one of the sentinel errors with the particulars: the type's name, a size, a count.
type Failure struct {
	Err  error // a sentinel of this package
	What string
}

func (f *Failure) Error() string {
	if f.What == "" {
		return f.Err.Error()
	}
	return f.Err.Error() + " (" + f.What + ")"
}

// Unwrap returns the sentinel.
func (f *Failure) Unwrap() error { return f.Err }

func fail(sentinel error, what string) error { return &Failure{Err: sentinel, What: what} }

// codeOf returns the wire code of err, "" for one that is not the document's fault, and the particulars.
func codeOf(err error) (code, what string) {
	var f *Failure
	plain := err
	if errors.As(err, &f) {
		plain, what = f.Err, f.What // before what the decoder said
	}
	for _, c := range codes {
		if errors.Is(plain, c.err) {
			return c.code, what
		}
	}
	return "", err.Error()
}

// errOf is the inverse of codeOf.
func errOf(code, what string) error {
	for _, c := range codes {
		if c.code == code {
			if what == "" {
				return c.err
			}
			return fail(c.err, what)
		}
	}
	return errors.New("raster: " + what)
}
