package api

import (
	"bytes"
	"encoding/json"
	"html"
	"mime"
	"net/http"
)

// words is what a body says, whatever its form.
type words struct {
	html bool
	app  bool   // an error object of the application: it is the API that speaks
	text string // not yet cleaned
}

// readWords finds the error text in a body of any of the forms in platform.md.
func readWords(h http.Header, body []byte) words {
	body = bytes.TrimSpace(body)
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case len(body) == 0:
		return words{} // whatever its type: no portal shows an empty page
	case body[0] == '[':
		return words{}
	case body[0] == '{':
		if w, ok := readErrorObject(body); ok {
			return w
		}
	case body[0] == '<' || media == "text/html":
		return words{html: true, text: htmlTitle(body)}
	}
	return words{text: string(body[:min(len(body), 4096)]), html: media == "text/html"}
}

// readErrorObject reads {"error","success"} and {"vms":[],"error"}. An object
// with an error and other content is an answer with a remark, not an error.
func readErrorObject(body []byte) (words, bool) {
	if !shallow(body, maxDepth) || !json.Valid(body) {
		return words{}, false
	}
	var o map[string]json.RawMessage
	if json.Unmarshal(body, &o) != nil {
		return words{}, true
	}
	var said text
	if json.Unmarshal(o["error"], &said) != nil || said == "" {
		return words{app: string(o["success"]) == "false"}, true
	}
	app := true
	for name, value := range o {
		switch name {
		case "error", "success", "message", "code", "status":
		case "vms":
			app = app && (string(value) == "[]" || string(value) == "null")
		default:
			app = app && string(value) == "null"
		}
	}
	app = app || string(o["success"]) == "false"
	return words{app: app, text: string(said)}, true
}

// htmlTitle returns the title of a page, which is all of it that helps.
func htmlTitle(body []byte) string {
	lower := bytes.ToLower(body)
	_, rest, ok := bytes.Cut(lower, []byte("<title"))
	if !ok {
		return ""
	}
	start := len(lower) - len(rest)
	open := bytes.IndexByte(rest, '>')
	end := bytes.Index(rest, []byte("</title"))
	if open < 0 || end < open || start+end > len(body) {
		return ""
	}
	return html.UnescapeString(string(body[start+open+1 : start+end]))
}
