package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/tipring/tipring/imaging/raster"
)

// coverOptions are the flags of a cover page's preview.
type coverOptions struct {
	wanted                   bool
	language, template, logo string
}

func coverFlags(fs *flag.FlagSet) *coverOptions {
	o := &coverOptions{}
	fs.BoolVar(&o.wanted, "cover", false, "begin with a cover page of sample words, to see a template")
	fs.StringVar(&o.language, "language", "en", "of the cover page: en, de, fr, es or nl")
	fs.StringVar(&o.template, "template", "", "the cover page's HTML `file`")
	fs.StringVar(&o.logo, "logo", "", "picture `file` for the cover page")
	return o
}

// design reads the template and the logo, and tells what is wrong with them.
func (o *coverOptions) design() (raster.CoverDesign, error) {
	d := raster.CoverDesign{Language: o.language}
	if o.template != "" {
		data, err := os.ReadFile(o.template)
		if err != nil {
			return d, fmt.Errorf("--template: %w", err)
		}
		d.Template = string(data)
	}
	if o.logo != "" {
		var err error
		if d.Logo, err = os.ReadFile(o.logo); err != nil {
			return d, fmt.Errorf("--logo: %w", err)
		}
	}
	return d, d.Check()
}

// sampleCover has a value for every field.
func sampleCover() raster.CoverFields {
	return raster.CoverFields{To: "Anna Müller", ToNumber: "+49 89 5550101", From: "Ben Baker <ben@contoso.com>", Date: time.Now(), Pages: 3,
		Subject: "Contract of 5 May", Text: "Dear Ms Müller,\n\nhere is the contract that we spoke of. Please sign and return page 2.\n\nKind regards\nBen Baker\n"}
}
