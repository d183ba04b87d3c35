package appliance

import (
	"fmt"
	"os"

	"github.com/tipring/tipring/smtpstack/message"
)

// maxLetterFile bounds a letter template, in octets.
const maxLetterFile = 256 << 10

// letterTemplate reads the template of our mail's HTML; nil: the built-in one.
func (c Config) letterTemplate() (*message.LetterTemplate, error) {
	if c.Mail.Letter == "" {
		return nil, nil
	}
	info, err := os.Stat(c.Mail.Letter)
	if err != nil {
		return nil, fmt.Errorf("mail.letter: %w", err)
	}
	if info.Size() > maxLetterFile {
		return nil, fmt.Errorf("mail.letter: %s: larger than %d octets", c.Mail.Letter, maxLetterFile)
	}
	src, err := os.ReadFile(c.Mail.Letter)
	if err != nil {
		return nil, fmt.Errorf("mail.letter: %w", err)
	}
	t, err := message.ParseLetterTemplate(string(src))
	if err != nil {
		return nil, fmt.Errorf("mail.letter: %s: %w", c.Mail.Letter, err)
	}
	return t, nil
}
