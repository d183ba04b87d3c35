package appliance

import (
	"fmt"
	"os"
	"slices"

	"github.com/tipring/tipring/imaging/raster"
)

// letterCountries are those whose offices use letter paper (ANSI/ASME Y14.1; CLDR's paperSize "US-Letter").
var letterCountries = []string{"US", "CA", "MX", "PR", "PH", "CL", "CO", "VE", "GT", "CR", "PA", "NI", "SV", "BZ", "DO"}

func (c Config) paper() raster.Paper {
	if c.Render.Paper == "letter" || c.Render.Paper == "" && slices.Contains(letterCountries, c.Dial.Country) {
		return raster.Letter
	}
	return raster.A4
}

// renderOptions says how documents become pages. It reads the cover's files: a fault in them is one of the configuration.
func (c Config) renderOptions() (raster.Options, error) {
	opt := raster.Options{Resolution: resolutions[c.Render.Resolution], MaxPages: c.Render.MaxPages, Paper: c.paper(), Fonts: c.Render.Fonts,
		Diffusion: c.Render.Photos == "diffusion", KeepSpecks: !c.Render.Despeckle,
		Cover: raster.CoverDesign{Language: c.Cover.Language}}
	if dir := c.Render.Fonts; dir != "" {
		if info, err := os.Stat(dir); err != nil {
			return opt, fmt.Errorf("render.fonts: %w", err)
		} else if !info.IsDir() {
			return opt, fmt.Errorf("render.fonts: %s is no folder", dir)
		}
	}
	template, err := coverFile("cover.template", c.Cover.Template)
	if err != nil {
		return opt, err
	}
	opt.Cover.Template = string(template)
	if opt.Cover.Logo, err = coverFile("cover.logo", c.Cover.Logo); err != nil {
		return opt, err
	}
	return opt, opt.Cover.Check()
}

// maxCoverFile bounds what is read of a template or logo, in octets.
const maxCoverFile = 2 << 20

func coverFile(key, name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if info.Size() == 0 || info.Size() > maxCoverFile {
		return nil, fmt.Errorf("%s: %s has %d octets: use a file of at most %d", key, name, info.Size(), maxCoverFile)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return data, nil
}
