package appliance

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/tipring/tipring/appliance/gateway"
)

// Config is the appliance's one configuration file. Every field has a default ([Default]); tipring.example.toml
// documents each with its unit.
type Config struct {
	Data       string   `toml:"data"`        // folder of the database and the spool, created when missing
	Hostname   string   `toml:"hostname"`    // full name of this box: SMTP greeting, EHLO, Message-IDs
	FaxDomains []string `toml:"fax_domains"` // mail domains whose addresses are fax numbers
	LogLevel   string   `toml:"log_level"`   // debug, info, warn, error

	Lines       []LineConfig      `toml:"line"`
	Offers      []OfferConfig     `toml:"offer"`
	Receive     []ReceiveConfig   `toml:"receive"`
	Send        []SendConfig      `toml:"send"`
	SendRoute   []SendRoute       `toml:"send_route"`
	Mail        MailConfig        `toml:"mail"`
	Directories []DirectoryConfig `toml:"directory"`
	Recipients  RecipientsConfig  `toml:"recipients"`
	SRS         SRSConfig         `toml:"srs"`
	Limits      LimitsConfig      `toml:"limits"`
	Routes      RoutesConfig      `toml:"routes"`
	Dial        DialConfig        `toml:"dial"`
	Retry       RetryConfig       `toml:"retry"`
	Cover       CoverConfig       `toml:"cover"`
	Render      RenderConfig      `toml:"render"`
	Web         WebConfig         `toml:"web"`
	DNS         DNSConfig         `toml:"dns"`
	Retention   RetentionConfig   `toml:"retention"`
	ACME        ACMEConfig        `toml:"acme"`
}

// LineConfig is one telephone line with its modem.
type LineConfig struct {
	Name      string `toml:"name"`       // shown in status and logs
	Device    string `toml:"device"`     // serial port of the modem, /dev/serial/by-id/... is stable
	Number    string `toml:"number"`     // our number on this line, as others dial it
	StationID string `toml:"station_id"` // CSI and TSI: up to 20 digits, + and spaces; empty: number
	Header    string `toml:"header"`     // our name in the header line
	Send      bool   `toml:"send"`       // dial out on this line
	Receive   bool   `toml:"receive"`    // answer calls on this line
	Rings     int    `toml:"rings"`      // rings before answering, 1 to 20
	MaxRate   int    `toml:"max_rate"`   // bit/s, 0: what the modem can do
	NoECM     bool   `toml:"no_ecm"`     // do without error correction
	// Resolution is the finest that callers may send; 600 makes DIS eight octets longer.
	Resolution string `toml:"resolution"`
	// Coding is the densest to send and to take; jbig only counts with error correction.
	Coding string `toml:"coding"`
	PhoneConfig
	ModemConfig
}

// lineDefaults are those of a [[line]] table that leaves keys out.
func lineDefaults() LineConfig {
	return LineConfig{Send: true, Receive: true, Rings: 1, Resolution: "400", Coding: "mmr", PhoneConfig: PhoneConfig{DialTone: "wait", Answer: "fax"},
		ModemConfig: ModemConfig{Class: "auto", Profile: "auto"}}
}

// OfferConfig is one document that callers may poll (fetch) on every line that receives.
type OfferConfig struct {
	File      string `toml:"file"`      // any document that can be faxed; looked at for changes all the time
	Selective string `toml:"selective"` // address (SEP) a caller asks for it by, up to 20 digits, # and *; empty: for callers that give none
	Password  string `toml:"password"`  // PWD a caller must give, likewise; empty: none
}

// MailConfig is the mail that we write: received faxes, notices, alarms.
type MailConfig struct {
	From string `toml:"from"` // its sender
	// DKIMKey is a PEM file with the private key that signs our mail for the domain of From; empty: it is not signed. The public part
	// stands in DNS under DKIMSelector: `tipring connector dkim` prints the record.
	DKIMKey      string `toml:"dkim_key"`
	DKIMSelector string `toml:"dkim_selector"`
	Picture      bool   `toml:"picture"`     // first pages are shown in our mail
	Content      bool   `toml:"content"`     // received faxes are in the mail; false: it tells of them only, and they stay until fetched
	Letter       string `toml:"letter"`      // file with a template of our mail's HTML; empty: the built-in one
	Receipts     bool   `toml:"receipts"`    // a mail that asks for a receipt gets one beside the notice
	MaxSizeMB    int    `toml:"max_size_mb"` // of a mail as it goes out, in 2^20 octets; larger faxes are divided; 0: as the servers say
	Fallback     string `toml:"fallback"`    // operator's mailbox: alarms, and mail whose recipient is refused; empty: such mail is held with an alarm
}

// RoutesConfig says where received faxes go when no route of the database fits.
type RoutesConfig struct {
	Default []string `toml:"default"` // mail addresses
	Format  string   `toml:"format"`  // pdf or tiff
}

// DialConfig says what may be dialed. Emergency numbers are always refused.
type DialConfig struct {
	Country string   `toml:"country"` // ISO 3166 code: emergency numbers and redial law
	Allow   []string `toml:"allow"`   // first digits of numbers ("+1", "555*"); "*": all
	Deny    []string `toml:"deny"`    // likewise; the longest that fits decides, deny wins a tie
	Prefix  string   `toml:"prefix"`  // dialed before every number ("0," behind a PBX); "," is a pause of 2 s
}

// RetryConfig overrides the retry practice; zero values keep the built-in one.
type RetryConfig struct {
	BusyTries     int        `toml:"busy_tries"`     // calls to a busy number, the first included
	BusyIntervals []Duration `toml:"busy_intervals"` // wait before the second, third ... call; the last repeats
	NoAnswerTries int        `toml:"no_answer_tries"`
	FailedTries   int        `toml:"failed_tries"` // calls that ended inside the transmission
	Interval      Duration   `toml:"interval"`     // wait after everything but busy
}

// CoverConfig is the text before the attachments.
type CoverConfig struct {
	Body     bool   `toml:"body"`     // the mail's text becomes the first page or pages
	Language string `toml:"language"` // en, de, fr, es, nl
	Template string `toml:"template"` // HTML file; empty: the built-in one
	Logo     string `toml:"logo"`     // picture file; empty: none
}

// RenderConfig limits the child process that turns documents into pages.
type RenderConfig struct {
	MemoryMB   int      `toml:"memory_mb"`  // 2^20 octets
	Timeout    Duration `toml:"timeout"`    // for one document
	MaxPages   int      `toml:"max_pages"`  // of one fax
	Resolution string   `toml:"resolution"` // standard, fine, superfine, r16, 200, 300, 400, 600
	Paper      string   `toml:"paper"`      // a4, letter; empty: as [dial] country has it
	Fonts      string   `toml:"fonts"`      // folder of further fonts; empty: none
	Photos     string   `toml:"photos"`     // screen, diffusion
	Despeckle  bool     `toml:"despeckle"`  // lone specks of scans are removed

	Gotenberg        string   `toml:"gotenberg"`         // address of a Gotenberg server that converts Office documents; empty: they are refused
	GotenbergDOCX    bool     `toml:"gotenberg_docx"`    // DOCX goes there too
	GotenbergTimeout Duration `toml:"gotenberg_timeout"` // for one document
	GotenbergWait    Duration `toml:"gotenberg_wait"`    // how long a fax waits for the server
}

// WebConfig is the status page.
type WebConfig struct {
	Listen string `toml:"listen"` // host:port; empty: no page. Only loopback is allowed: the page has no sign-in yet
}

// RetentionConfig says how long things stay after they are done with. Nothing undelivered is ever deleted.
type RetentionConfig struct {
	Received Duration `toml:"received"` // a received fax after its delivery
	Sent     Duration `toml:"sent"`     // a sent job's pages after its notice was delivered
	Records  Duration `toml:"records"`  // call and job records
}

// Duration is a time span written as "90s", "10m", "36h" or "30d".
type Duration time.Duration

// UnmarshalText reads Go's notation and whole days.
func (d *Duration) UnmarshalText(b []byte) error {
	s := string(b)
	if n := len(s); n > 1 && s[n-1] == 'd' {
		days, err := strconv.Atoi(s[:n-1])
		if err != nil || days < 0 || days > 36500 {
			return fmt.Errorf("%q is no number of days", s)
		}
		*d = Duration(time.Duration(days) * 24 * time.Hour)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is no time span: write 90s, 10m, 36h or 30d", s)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Default returns the configuration of an empty file.
func Default() Config {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	return Config{
		Data:       "/var/lib/tipring",
		Hostname:   host,
		LogLevel:   "info",
		Limits:     LimitsConfig{MailsPerSender: gateway.DefaultMailsPerSender},
		Mail:       MailConfig{Picture: true, Content: true, MaxSizeMB: 36},
		Routes:     RoutesConfig{Format: "pdf"},
		ACME:       ACMEConfig{DNSAlgorithm: defaultTSIG},
		Recipients: RecipientsConfig{Wait: Duration(10 * time.Minute)},
		SRS:        SRSConfig{MaxAge: Duration(21 * 24 * time.Hour)},
		Dial:       DialConfig{Country: "US"},
		Cover:      CoverConfig{Body: true, Language: "en"},
		Render: RenderConfig{MemoryMB: 384, Timeout: Duration(2 * time.Minute), MaxPages: 200, Resolution: "fine", Photos: "screen", Despeckle: true,
			GotenbergTimeout: Duration(2 * time.Minute), GotenbergWait: Duration(time.Hour)},
		Web:       WebConfig{Listen: "127.0.0.1:8080"},
		Retention: RetentionConfig{Received: Duration(30 * 24 * time.Hour), Sent: Duration(7 * 24 * time.Hour), Records: Duration(365 * 24 * time.Hour)},
	}
}

// maxConfigSize bounds the file that Load reads.
const maxConfigSize = 1 << 20

// Load reads and validates the file at path. Errors name the file and, where the file's text is at fault, the line.
func Load(path string) (Config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	if info.Size() > maxConfigSize {
		return Config{}, fmt.Errorf("configuration %s: larger than %d octets", path, maxConfigSize)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	c, err := Parse(text)
	if err != nil {
		return Config{}, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// Parse reads and validates a configuration's text.
func Parse(text []byte) (Config, error) {
	// Presence of a line's keys matters for its defaults, so lines are decoded over a prepared slice: first count.
	var shape struct {
		Lines []map[string]any `toml:"line"`
	}
	if err := toml.Unmarshal(text, &shape); err != nil {
		return Config{}, tomlError(err)
	}
	c := Default()
	dec := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return Config{}, tomlError(err)
	}
	for i := range c.Lines {
		applyLineDefaults(&c.Lines[i], shape.Lines[i])
	}
	c.applyConnectorDefaults()
	if len(c.Recipients.Verify) == 0 {
		c.Recipients.Verify = nil // [] is the default
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

func applyLineDefaults(l *LineConfig, given map[string]any) {
	d := lineDefaults()
	if _, ok := given["send"]; !ok {
		l.Send = d.Send
	}
	if _, ok := given["receive"]; !ok {
		l.Receive = d.Receive
	}
	if _, ok := given["rings"]; !ok {
		l.Rings = d.Rings
		if l.Shared {
			l.Rings = sharedRings
		}
	}
	if _, ok := given["resolution"]; !ok {
		l.Resolution = d.Resolution
	}
	if _, ok := given["coding"]; !ok {
		l.Coding = d.Coding
	}
	if l.StationID == "" {
		l.StationID = l.Number
	}
	l.phoneDefaults()
	l.modemDefaults()
}

// tomlError puts the line number first, one line of text per fault.
func tomlError(err error) error {
	var missing *toml.StrictMissingError
	if errors.As(err, &missing) {
		var all []error
		for i := range missing.Errors {
			e := &missing.Errors[i]
			row, _ := e.Position()
			all = append(all, fmt.Errorf("line %d: unknown key %q", row, dotted(e.Key())))
		}
		return errors.Join(all...)
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		row, col := bad.Position()
		return fmt.Errorf("line %d, column %d: %w", row, col, bad)
	}
	return err
}

func dotted(k toml.Key) string {
	var b bytes.Buffer
	for i, part := range k {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}
