package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tipring/tipring/appliance/store"
)

// Chain asks sources in order; the first that knows the address answers. When none knows it but one could not be asked,
// the answer is ErrUnavailable and not ErrUnknown. What sources outside the table say is remembered over restarts, see
// [CacheTimes].
type Chain struct {
	sources    []Source
	recipients *cache[Result]
	members    *cache[Member]
}

// NewChain makes a chain of sources. Their names must differ: answers are remembered under them.
func NewChain(st *store.Store, sources ...Source) *Chain {
	return &Chain{sources: sources,
		recipients: newCache[Result](st, "directory recipients", RecipientTimes),
		members:    newCache[Member](st, "directory members", MemberTimes)}
}

// Lookup implements [Lookup].
func (c *Chain) Lookup(ctx context.Context, address string) (Result, error) {
	address, err := Normalize(address)
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	var failed []error
	for _, s := range c.sources {
		res, err := c.recipients.forSource(s).get(ctx, s.Name(), address, s.Lookup)
		if err == nil {
			return res, nil
		}
		if !errors.Is(err, ErrUnknown) {
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		return Result{}, errors.Join(failed...)
	}
	return Result{}, fmt.Errorf("%w: %s", ErrUnknown, address)
}

// Member implements [Members]. The groups of all sources that know the address are joined; a source that cannot be
// asked makes the answer ErrUnavailable, as nobody knows what its groups would have denied.
func (c *Chain) Member(ctx context.Context, address string) (Member, error) {
	address, err := Normalize(address)
	if err != nil {
		return Member{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	var all Member
	for _, s := range c.sources {
		m, err := c.members.forSource(s).get(ctx, s.Name(), address, s.Member)
		switch {
		case errors.Is(err, ErrUnknown):
		case err != nil:
			return Member{}, err
		case all.Address == "":
			all = m
		default:
			all.Groups = joinGroups(all.Groups, m.Groups)
			all.Source += ", " + m.Source
		}
	}
	if all.Address == "" {
		return all, fmt.Errorf("%w: %s", ErrUnknown, address)
	}
	return all, nil
}

// Answer is what one source says of an address.
type Answer struct {
	Source    string
	Result    Result // where mail for the address goes
	LookupErr error
	Member    Member // what a sender with the address is
	MemberErr error
}

// Ask asks every source, for people who want to know who says what; answers are remembered as usual. Errors: ErrUnknown
// of what is no address.
func (c *Chain) Ask(ctx context.Context, address string) ([]Answer, error) {
	address, err := Normalize(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	list := make([]Answer, len(c.sources))
	for i, s := range c.sources {
		a := &list[i]
		a.Source = s.Name()
		a.Result, a.LookupErr = c.recipients.forSource(s).get(ctx, s.Name(), address, s.Lookup)
		a.Member, a.MemberErr = c.members.forSource(s).get(ctx, s.Name(), address, s.Member)
	}
	return list, nil
}

// Forget drops what is remembered of an address: after a mail server refused it, or when somebody changed the directory
// and does not want to wait.
func (c *Chain) Forget(address string) error {
	address, err := Normalize(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	for _, s := range c.sources {
		if err := errors.Join(c.recipients.forget(s.Name(), address), c.members.forget(s.Name(), address)); err != nil {
			return err
		}
	}
	return nil
}

// joinGroups adds what is new of more to groups.
func joinGroups(groups, more []string) []string {
	joined := slices.Clone(groups)
	for _, g := range more {
		if !slices.ContainsFunc(joined, func(have string) bool { return fold(have) == fold(g) }) {
			joined = append(joined, g)
		}
	}
	return joined
}
