// Package settings is what a person chose: each setting with its value and
// where that comes from, a flag over a variable over the configuration file
// over the default, and the editing of that file.
//
// It owns the table of settings (Keys), which help, documentation and `config`
// read too, the search for the API key, and the environment in which another
// program finds the same settings. viper decides which value wins.
//
// It never prints, never talks to a VM or the API, and never shows or hands on
// a secret but through APIKey and RegistryToken.
package settings
