#!/bin/sh
# What halo's objects call is modelled, or has nothing to do with the kernel's files: a call that is
# neither would leave the simulator, and touch real ones. modelled.sh OBJECT... looks at objects;
# without any it lists what is modelled.
set -u

names='[a-z][a-z0-9_]*'
modelled=$(sed -nE "s/.*(\\<WRAP\(|^HAS_NOT\([a-z_]+, )($names)\).*/\\2/p" spec/simulator/*.c)
[ $# -gt 0 ] || { echo "$modelled" | grep -vx name && exit 0; }

set -f # the rest is of patterns that are not of files
harmless='_GLOBAL_OFFSET_TABLE_ __libc_current_sigrtmax environ getpid posix_spawn_file_actions_.*
posix_spawnattr_.* sigemptyset __ctype_.* __errno_location __fpending __isoc99_sscanf mem.*
str.* SHA256.* halo_.* lua.* __asan_.* __ubsan_.* __tsan_.* __sanitizer_.* __gcov_.*
__stack_chk_fail abort asprintf calloc ceil dlopen dlsym eventfd fclose fflush fgets floor
fprintf fputc fputs free fwrite getenv geteuid getrlimit isatty madvise malloc mbrtowc mmap
munmap nl_langinfo open_memstream qsort realloc setlocale snprintf sprintf stderr stdin stdout
__fpurge __isoc99_fscanf __overflow _IO_doallocbuf fdopen fileno ungetc
umask uname vsnprintf wcrtomb wcslen wcwidth'

known=$(echo $harmless $modelled | tr ' ' '\n')
left=$(nm -u "$@" | awk '$1 == "U" { print $2 }' | sort -u | grep -vxE "$known")
[ -z "$left" ] && exit 0
echo "not modelled in spec/simulator, and not known as harmless: $(echo $left)" >&2
exit 1
