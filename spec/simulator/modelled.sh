#!/bin/sh
# What halo's objects call is modelled, or has nothing to do with the kernel's files: a call that is
# neither would leave the simulator, and touch real ones. modelled.sh OBJECT... looks at objects;
# without any it lists what is modelled.
set -u

names='[a-z_][a-z0-9_]*'
modelled=$(sed -nE "s/.*(\\<WRAP\(|^HAS_NOT\([a-z_]+, )($names)\).*/\\2/p" spec/simulator/*.c)
[ $# -gt 0 ] || { echo "$modelled" | grep -vx name && exit 0; }

set -f # the rest is of patterns that are not of files
harmless='SHA256.* _GLOBAL_OFFSET_TABLE_ _IO_doallocbuf __asan_.* __ctype_.* __errno_location
__fpending __fpurge __gcov_.* __isoc99_fscanf __isoc99_sscanf __libc_current_sigrtmax __overflow
__sanitizer_.* __stack_chk_fail __tsan_.* __ubsan_.* abort asprintf bcmp calloc ceil clearerr dlopen
dlsym environ epoll_create1 eventfd fclose fdopen ferror fflush fgets fileno floor fprintf fputc
fputs free fwrite getenv geteuid getpid getrlimit gnu_dev_makedev halo_.* isatty iswprint lua.*
madvise malloc mbrtowc mem.* mmap munmap nl_langinfo open_memstream posix_spawn_file_actions_.*
posix_spawnattr_.* pthread_atfork pthread_attr_.* pthread_cond_destroy pthread_cond_init
pthread_condattr_.* pthread_equal pthread_mutex_destroy pthread_mutex_init pthread_self
pthread_sigmask qsort realloc secure_getenv setlocale sigaddset sigemptyset sigfillset snprintf
sprintf stderr stdin stdout str.* tcgetattr tcsetattr tolower tzset umask uname ungetc vfprintf
vsnprintf wcrtomb wcslen wcwidth'

known=$(echo $harmless $modelled | tr ' ' '\n')
left=$(nm -u "$@" | awk '$1 == "U" { print $2 }' | sort -u | grep -vxE "$known")
[ -z "$left" ] && exit 0
echo "not modelled in spec/simulator, and not known as harmless: $(echo $left)" >&2
exit 1
