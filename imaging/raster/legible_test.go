package raster

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tipring/tipring/imaging"
)

const chinese = "尊敬的客户：随函附上第4711号发票，请于十一月三十日之前付款。"

// A text that no font here has is refused, with its script's name; a few characters are shown as boxes and named.
func TestLegible(t *testing.T) {
	english := strings.Repeat("Please find the invoice enclosed, and pay it soon. ", 12)
	for _, c := range []struct {
		name, text string
		script     string // "": shown
		boxes      string
	}{
		{"all of the repertoire", "Straße, naïve, Ελλάδα, Привет, שלום, مرحبا, ขอบคุณ, 1 250 € ½ → • ✓", "", ""},
		{"chinese", chinese, "Chinese, Japanese or Korean", ""},
		{"two letters that are all", "你好", "Chinese, Japanese or Korean", ""},
		{"korean", "안녕하세요, 청구서를 보냅니다", "Chinese, Japanese or Korean", ""},
		{"hindi", "नमस्ते, कृपया भुगतान करें", "Devanagari", ""},
		{"a name in a letter", english + "王小明", "", "王 小 明"},
		{"a sentence in a letter", english + "请于十一月三十日之前付款", "Chinese, Japanese or Korean", ""},
		{"a sentence with a number in it", strings.Repeat(english, 9) + "请于十一月三日之前付款", "Chinese, Japanese or Korean", ""},
		{"words here and there", strings.ReplaceAll(english, "invoice", "invoice 发票"), "Chinese, Japanese or Korean", ""},
		{"emoji", "Thank you 😀😀👍🏽", "", "😀 👍 🏽"},
		{"only emoji", "😀", "", "😀"},
		{"many signs", "x " + "𝄞𝄟𝄠𝄡𝄢𝄣𝄤𝄥𝄪𝄫𝆏𝆐𝆑𝆒", "", "𝄞 𝄟 𝄠 𝄡 𝄢 𝄣 𝄤 𝄥 𝄪 𝄫 𝆏 𝆐 and others"},
	} {
		for kind, data := range map[string][]byte{
			"text": []byte(c.text), "html": []byte("<html><body><p>" + c.text + "</p></body></html>"),
			"table": []byte("<html><body><table border=1><tr><td>" + c.text + "</td><td>-</td></tr></table></body></html>"),
			"docx":  makeDOCX(t, "<w:p><w:r><w:t>"+c.text+"</w:t></w:r></w:p>", nil),
		} {
			t.Run(c.name+" "+kind, func(t *testing.T) {
				res, err := RenderJob(context.Background(), Job{Inputs: []Input{{Data: data, Name: "a"}, {Data: []byte("next"), Name: "b"}}}, new(strings.Builder))
				if err != nil {
					t.Fatal(err)
				}
				checkLegible(t, res, c.script, c.boxes)
			})
		}
	}
}

func checkLegible(t *testing.T, res Result, script, boxes string) {
	t.Helper()
	if script != "" {
		var f *Failure
		if len(res.Failed) != 1 || res.Failed[0].Input != 0 || !errors.Is(&res.Failed[0], ErrNoFont) || !errors.As(&res.Failed[0], &f) || f.What != script || len(res.Notes) != 0 {
			t.Errorf("failed %v, notes %v, want the script %s", res.Failed, res.Notes, script)
		}
		return
	}
	if len(res.Failed) != 0 {
		t.Errorf("failed: %v", res.Failed)
	}
	if boxes == "" && len(res.Notes) != 0 || boxes != "" && (len(res.Notes) != 1 || res.Notes[0].Boxes != boxes || res.Notes[0].Input != 0) {
		t.Errorf("notes %v, want %q", res.Notes, boxes)
	}
}

// Of a cover page the mail's text counts; a name or subject in boxes is only named. The child tells it as well.
func TestLegible_Cover(t *testing.T) {
	child := testChild(t, "render")
	for _, c := range []struct {
		fields        CoverFields
		script, boxes string
	}{
		{CoverFields{From: "王小明", To: "Ann", Text: "Please call back."}, "", "王 小 明"},
		{CoverFields{Subject: "发票", Text: "", Pages: 2}, "", "发 票"},
		{CoverFields{Subject: "Plan", Text: chinese}, "Chinese, Japanese or Korean", ""},
		{CoverFields{Subject: "Plan", HTML: "<p>" + chinese + "</p>"}, "Chinese, Japanese or Korean", ""},
	} {
		res, err := child.Render(context.Background(), Job{Inputs: []Input{{Cover: &c.fields, Name: "cover"}, {Data: []byte("next"), Name: "b"}}}, outFile(t))
		if err != nil {
			t.Fatal(err)
		}
		checkLegible(t, res, c.script, c.boxes)
	}
	err := RenderDocument(context.Background(), textDoc(chinese), Options{}, func(*imaging.Page) error { return nil })
	if wantErr(t, err, ErrNoFont); err.Error() != "this appliance has no font for a writing in the document (Chinese, Japanese or Korean)" {
		t.Error(err)
	}
}
