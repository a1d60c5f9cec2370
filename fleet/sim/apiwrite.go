package sim

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// timeLayout is how the API writes times: RFC 3339 with microseconds.
const timeLayout = "2006-01-02T15:04:05.000000Z"

func apiTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// errorBody is the JSON of an application error.
type errorBody struct {
	Error   string `json:"error"`
	Success bool   `json:"success"`
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	data, err := json.Marshal(value)
	if err != nil { // cannot happen with the types of this package
		plainText(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client may be gone
}

// writeError answers with an application error.
func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, errorBody{Error: message})
}

// bare answers with text and without a content type, as the live service does.
func bare(w http.ResponseWriter, status int, body string) {
	w.Header()["Content-Type"] = nil
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func plainText(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func htmlPage(w http.ResponseWriter, status int, title string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<!DOCTYPE html>\n<html><head><title>"+title+"</title></head>\n<body><center><h1>"+
		title+"</h1></center><hr><center>nginx</center></body></html>\n")
}

// readJSON reads a request body into value; on failure it has answered the
// way the live service does: 415, 400 or 422 in plain text.
func readJSON(w http.ResponseWriter, r *request, value any) bool {
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		plainText(w, http.StatusUnsupportedMediaType, "Expected request with `Content-Type: application/json`")
		return false
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		plainText(w, http.StatusRequestEntityTooLarge, "Failed to buffer the request body: length limit exceeded")
		return false
	}
	if !json.Valid(data) {
		plainText(w, http.StatusBadRequest, "Failed to parse the request body as JSON: expected value at line 1 column 1")
		return false
	}
	if err := json.Unmarshal(data, value); err != nil {
		plainText(w, http.StatusUnprocessableEntity, "Failed to deserialize the JSON body into the target type")
		return false
	}
	return true
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// recorder is an answer that is kept instead of sent.
type recorder struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func newRecorder() *recorder { return &recorder{status: http.StatusOK, header: make(http.Header)} }

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }
