package directory

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/smtpstack"
)

// Device is something on the LAN that signs in to hand in mail: a printer, a scanner, a program.
type Device struct {
	Name    string    `json:"name"`    // user name of the sign-in, in lower case
	Senders []string  `json:"senders"` // addresses and domains it may send as; "*": any that its connector takes
	Note    string    `json:"note,omitempty"`
	Created time.Time `json:"created"`
	// Hash is of the password: argon2id (RFC 9106) in PHC string format.
	Hash string `json:"hash"`
}

// Devices are the devices that may sign in. They are safe for concurrent use.
type Devices struct {
	st    *store.Store
	slots chan struct{} // hashes under way: each takes 19 MiB
}

var (
	// ErrDevice is returned when a device's name, sender or password cannot be as given.
	ErrDevice = errors.New("device")
	// ErrPassword is returned for an unknown device or a wrong password, and does not tell which.
	ErrPassword = errors.New("no such device with this password")
)

var deviceTable = store.NewTable[Device]("devices")

// Cost of a hash: the second choice of OWASP's Password Storage Cheat Sheet, for a box with little memory.
const (
	hashMemory  = 19 << 10 // KiB
	hashTime    = 2
	hashThreads = 1
	hashLength  = 32
	hashSalt    = 16
	hashSlots   = 2

	maxDevices    = 1000
	maxPassword   = 255
	leastPassword = 8
)

// NewDevices keeps the devices in a store.
func NewDevices(st *store.Store) *Devices {
	return &Devices{st: st, slots: make(chan struct{}, hashSlots)}
}

// List returns the devices by name, without their hashes.
func (d *Devices) List() ([]Device, error) {
	var list []Device
	err := d.st.View(func(tx *store.Tx) error {
		return deviceTable.Each(tx, func(_ string, v Device) error {
			v.Hash = ""
			list = append(list, v)
			return nil
		})
	})
	return list, err
}

// Get returns a device without its hash. Errors: store.ErrNotFound.
func (d *Devices) Get(name string) (Device, error) {
	v, err := d.get(name)
	v.Hash = ""
	return v, err
}

func (d *Devices) get(name string) (v Device, err error) {
	err = d.st.View(func(tx *store.Tx) error {
		v, err = deviceTable.Get(tx, strings.ToLower(name))
		return err
	})
	return v, err
}

// Put stores a device in place of one of its name and returns its password: the one given, or for "" one made up. Errors: ErrDevice.
func (d *Devices) Put(v Device, password string) (string, error) {
	v.Name = strings.ToLower(v.Name)
	if err := v.check(); err != nil {
		return "", err
	}
	if password == "" {
		password = NewPassword()
	}
	if n := utf8.RuneCountInString(password); n < leastPassword || len(password) > maxPassword || !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl) {
		return "", fmt.Errorf("%w: a password has %d characters at least and %d octets at most, none of them a control character", ErrDevice, leastPassword, maxPassword)
	}
	v.Created, v.Hash = time.Now(), hashPassword(password)
	return password, d.st.Update(func(tx *store.Tx) error {
		if !deviceTable.Has(tx, v.Name) && deviceTable.Len(tx) >= maxDevices {
			return fmt.Errorf("%w: there are %d already", ErrDevice, maxDevices)
		}
		return deviceTable.Put(tx, v.Name, v)
	})
}

func (v Device) check() error {
	if v.Name == "" || len(v.Name) > 64 || strings.ContainsFunc(v.Name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("-._@", r))
	}) {
		return fmt.Errorf("%w: %.80q is no name: up to 64 letters, digits, and - . _ @", ErrDevice, v.Name)
	}
	if len(v.Senders) == 0 || len(v.Senders) > 100 {
		return fmt.Errorf("%w: name the addresses or domains that %s may send as, up to 100", ErrDevice, v.Name)
	}
	for _, s := range v.Senders {
		at := s
		if !strings.Contains(s, "@") {
			at = "x@" + s
		}
		if _, _, err := smtpstack.SplitAddress(at); err != nil && s != "*" {
			return fmt.Errorf("%w: sender %.80q is neither an address, a domain nor \"*\"", ErrDevice, s)
		}
	}
	if len(v.Note) > 200 || strings.ContainsFunc(v.Note, unicode.IsControl) {
		return fmt.Errorf("%w: the note is one line of up to 200 octets", ErrDevice)
	}
	return nil
}

// Remove takes a device out. Errors: store.ErrNotFound.
func (d *Devices) Remove(name string) error {
	name = strings.ToLower(name)
	return d.st.Update(func(tx *store.Tx) error {
		if _, err := deviceTable.Get(tx, name); err != nil {
			return err
		}
		return deviceTable.Delete(tx, name)
	})
}

// Verify tells whether a password is a device's: nil, or ErrPassword, after the same time whether or not there is such a device.
// Other errors say that it could not be found out.
func (d *Devices) Verify(ctx context.Context, name, password string) error {
	v, err := d.get(name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	salt, want := readHash(v.Hash)
	if len(password) > maxPassword {
		password = ""
	}
	got := argon2.IDKey([]byte(password), salt, hashTime, hashMemory, hashThreads, hashLength)
	if subtle.ConstantTimeCompare(got, want) != 1 || err != nil {
		return ErrPassword
	}
	return nil
}

// hashPrefix says how the hash was made; another one is not read: who changes the cost above writes a way to the new one.
var hashPrefix = fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$", argon2.Version, hashMemory, hashTime, hashThreads)

func hashPassword(password string) string {
	salt := make([]byte, hashSalt)
	rand.Read(salt) // never fails
	sum := argon2.IDKey([]byte(password), salt, hashTime, hashMemory, hashThreads, hashLength)
	return hashPrefix + base64.RawStdEncoding.EncodeToString(salt) + "$" + base64.RawStdEncoding.EncodeToString(sum)
}

// readHash takes a hash apart. Of none, or one that cannot be read, it is a hash that no password has.
func readHash(s string) (salt, sum []byte) {
	rest, ok := strings.CutPrefix(s, hashPrefix)
	a, b, found := strings.Cut(rest, "$")
	salt, err := base64.RawStdEncoding.DecodeString(a)
	sum, err2 := base64.RawStdEncoding.DecodeString(b)
	if !ok || !found || err != nil || err2 != nil || len(salt) != hashSalt || len(sum) != hashLength {
		return make([]byte, hashSalt), nil
	}
	return salt, sum
}

// NewPassword makes up a password of 100 bits that can be typed on a printer.
func NewPassword() string {
	raw := make([]byte, 13)
	rand.Read(raw)                                               // never fails
	s := strings.ToLower(base32.StdEncoding.EncodeToString(raw)) // letters and 2 to 7
	return s[:5] + "-" + s[5:10] + "-" + s[10:15] + "-" + s[15:20]
}
