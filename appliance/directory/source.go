package directory

import (
	"context"
	"fmt"
	"time"
)

// Result is what a source knows of an address that takes mail.
type Result struct {
	Address   string   `json:"address"`         // primary address of the user or group
	Name      string   `json:"name,omitempty"`  // display name
	Group     bool     `json:"group,omitempty"` // the address is a group's
	Mailboxes []string `json:"mailboxes"`       // where mail for it goes: the primary address; of a group its members, nested ones too
	Source    string   `json:"source"`
}

// Member is what a source knows of a sender.
type Member struct {
	Address string   `json:"address"` // primary address
	Name    string   `json:"name,omitempty"`
	Groups  []string `json:"groups,omitempty"` // names and addresses of all groups it belongs to, also through other groups
	Source  string   `json:"source"`
}

// Lookup resolves an address to mailboxes. Errors: ErrUnknown, ErrUnavailable.
type Lookup interface {
	Lookup(ctx context.Context, address string) (Result, error)
}

// Members tells who an address is and to which groups it belongs. Errors: ErrUnknown, ErrUnavailable.
type Members interface {
	Member(ctx context.Context, address string) (Member, error)
}

// Source is a directory that answers both. All of them are safe for concurrent use.
type Source interface {
	Name() string
	Lookup
	Members
}

// maxMailboxes bounds what a group resolves to: a fax to more people is a mistake.
const maxMailboxes = 1000

const tooManyMembers = "Send received faxes to a smaller group, or to a shared mailbox."

// Failure is an ErrUnavailable with what is known of its cause.
type Failure struct {
	Source     string
	Remedy     string        // what an administrator must change; "": it may pass by itself
	RetryAfter time.Duration // when the source asked for it; 0: unknown
	Err        error
}

func (f *Failure) Error() string { return fmt.Sprintf("directory: %s: %v", f.Source, f.Err) }

// Unwrap returns ErrUnavailable and the cause.
func (f *Failure) Unwrap() []error { return []error{ErrUnavailable, f.Err} }

// Remembering is a Lookup that remembers its answers by itself, with times and bounds of its own: a [Chain] asks it each time.
type Remembering interface {
	Lookup
	Remembers()
}

// RecipientsOnly makes a Source of something that can tell recipients but no groups, such as an SMTP callout.
func RecipientsOnly(name string, l Lookup) Source { return recipientsOnly{l, name} }

type recipientsOnly struct {
	l    Lookup
	name string
}

func (r recipientsOnly) Name() string { return r.name }

// Lookup implements [Source].
func (r recipientsOnly) Lookup(ctx context.Context, address string) (Result, error) {
	return r.l.Lookup(ctx, address)
}

// Member implements [Source].
func (r recipientsOnly) Member(context.Context, string) (Member, error) {
	return Member{}, fmt.Errorf("%w: %s knows no senders", ErrUnknown, r.name)
}
