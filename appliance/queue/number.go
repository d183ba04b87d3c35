package queue

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNumber is returned by NormalizeNumber for what cannot be dialed.
var ErrNumber = errors.New("queue: not a telephone number")

// maxNumber bounds a dialed string: E.164's 15 digits, prefixes and pauses.
const maxNumber = 40

// NormalizeNumber takes the visual separators out of a number (space, dot, dash, slash, brackets) and leaves digits,
// a leading +, and the dial modifiers * # , w (comma: pause, w: wait for dial tone). Errors: ErrNumber.
func NormalizeNumber(s string) (string, error) {
	var b strings.Builder
	digits := 0
	for i, r := range strings.TrimSpace(s) {
		switch {
		case r >= '0' && r <= '9':
			digits++
			b.WriteRune(r)
		case r == '+' && i == 0, r == '*', r == '#', r == ',':
			b.WriteRune(r)
		case r == 'w' || r == 'W':
			b.WriteByte('w')
		case strings.ContainsRune(" .-/()", r):
		default:
			return "", fmt.Errorf("%w: %q in it", ErrNumber, r)
		}
	}
	if digits == 0 || b.Len() > maxNumber {
		return "", fmt.Errorf("%w: %d digits", ErrNumber, digits)
	}
	return b.String(), nil
}

// digitsOf is the destination that the ledger counts for: the number's digits alone, so that no spelling of a number
// gets tries of its own.
func digitsOf(number string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, number)
}

// ShortNumber hides all but the last three digits of a number, for logs.
func ShortNumber(number string) string {
	const keep = 3
	if len(number) <= keep {
		return number
	}
	return strings.Repeat("*", len(number)-keep) + number[len(number)-keep:]
}
