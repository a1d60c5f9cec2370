package box

import (
	"fmt"
	"strconv"
)

// commands lists the programs of a VM.
func commands() map[string]command {
	table := map[string]command{
		"cat": cmdCat, "tac": cmdTac, "head": cmdHead, "tail": cmdTail, "wc": cmdWc, "less": cmdCat, "more": cmdCat,
		"ls": cmdLs, "find": cmdFind, "stat": cmdStat, "readlink": cmdReadlink, "pwd": cmdPwd, "realpath": cmdRealpath,
		"basename": cmdBasename, "dirname": cmdDirname, "du": cmdDu, "df": cmdDf,
		"cksum": cmdCksum, "base64": cmdBase64, "od": cmdOd,
		"mkdir": cmdMkdir, "rmdir": cmdRmdir, "rm": cmdRm, "touch": cmdTouch, "ln": cmdLn, "chmod": cmdChmod, "chown": cmdOwner,
		"chgrp": cmdOwner, "truncate": cmdTruncate, "mktemp": cmdMktemp, "cp": cmdCp, "mv": cmdMv, "dd": cmdDd, "tar": cmdTar,
		"gzip": cmdGzip, "gunzip": cmdGzip, "zcat": cmdGzip, "cmp": cmdCmp,
		"sort": cmdSort, "uniq": cmdUniq, "cut": cmdCut, "grep": cmdGrep, "tee": cmdTee, "tr": cmdTr, "xargs": cmdXargs, "seq": cmdSeq,
		"sleep": cmdSleep, "yes": cmdYes, "env": cmdEnv, "printenv": cmdPrintenv, "hostname": cmdHostname, "uname": cmdUname,
		"arch": cmdSay(cpuName + "\n"), "id": cmdID, "whoami": cmdWhoami, "date": cmdDate, "nproc": cmdSay(strconv.Itoa(cpuCount) + "\n"),
		"uptime": cmdUptime, "free": cmdFree, "sync": cmdSay(""), "tmux": cmdTmux,
		"which": cmdWhich, "command": cmdCommandV, "type": cmdType, "stty": cmdStty, "tty": cmdTty, "tput": cmdTput,
		"clear": cmdSay("\x1b[H\x1b[2J"), "umask": cmdUmask, "ulimit": cmdSay("unlimited\n"), "jobs": cmdSay(""),
		"sh": cmdSh, "bash": cmdSh, "dash": cmdSh, "timeout": cmdTimeout, "nohup": cmdPrefix(""), "nice": cmdPrefix("n"),
		"ionice": cmdPrefix("cn"), "setsid": cmdPrefix(""), "stdbuf": cmdPrefix("ioe"), "getconf": cmdGetconf,
	}
	for _, name := range []string{"echo", "printf", "true", "false", "test", "["} {
		table[name] = cmdBuiltin
	}
	sumCommands(table)
	return table
}

func cmdGetconf(c *cmd) int {
	values := map[string]string{"ARG_MAX": "2097152", "PAGESIZE": "4096", "_NPROCESSORS_ONLN": strconv.Itoa(cpuCount), "NAME_MAX": "255"}
	if len(c.args) == 0 || values[c.args[0]] == "" {
		return c.failf("not available in the simulator")
	}
	fmt.Fprintln(c.out, values[c.args[0]])
	return 0
}
