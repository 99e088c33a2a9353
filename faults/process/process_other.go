//go:build !linux

package process

import "syscall"

// ownGroup keeps an interrupt typed at the terminal away from an instance.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
