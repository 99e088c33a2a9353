package process

import "syscall"

// ownGroup keeps an interrupt typed at the terminal away from an instance, and has the kernel end it with this process.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
