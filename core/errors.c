/* Errors as texts; strerrorname_np(), which knows their names, is glibc's alone. */
#include <errno.h>

#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "halo.h"

#define NAME(code) [code] = #code

static const char *const names[] = {
    NAME(EPERM),       NAME(ENOENT),       NAME(ESRCH),      NAME(EINTR),
    NAME(EIO),         NAME(ENXIO),        NAME(E2BIG),      NAME(ENOEXEC),
    NAME(EBADF),       NAME(ECHILD),       NAME(EAGAIN),     NAME(ENOMEM),
    NAME(EACCES),      NAME(EFAULT),       NAME(ENOTBLK),    NAME(EBUSY),
    NAME(EEXIST),      NAME(EXDEV),        NAME(ENODEV),     NAME(ENOTDIR),
    NAME(EISDIR),      NAME(EINVAL),       NAME(ENFILE),     NAME(EMFILE),
    NAME(ENOTTY),      NAME(ETXTBSY),      NAME(EFBIG),      NAME(ENOSPC),
    NAME(ESPIPE),      NAME(EROFS),        NAME(EMLINK),     NAME(EPIPE),
    NAME(EDOM),        NAME(ERANGE),       NAME(EDEADLK),    NAME(ENAMETOOLONG),
    NAME(ENOLCK),      NAME(ENOSYS),       NAME(ENOTEMPTY),  NAME(ELOOP),
    NAME(ENODATA),     NAME(ETIME),        NAME(EREMOTE),    NAME(ENOLINK),
    NAME(EPROTO),      NAME(EBADMSG),      NAME(EOVERFLOW),  NAME(EBADFD),
    NAME(EILSEQ),      NAME(EUSERS),       NAME(EOPNOTSUPP), NAME(ENETDOWN),
    NAME(ENETUNREACH), NAME(ECONNABORTED), NAME(ECONNRESET), NAME(ENOBUFS),
    NAME(ENOTCONN),    NAME(ESHUTDOWN),    NAME(ETIMEDOUT),  NAME(ECONNREFUSED),
    NAME(EHOSTDOWN),   NAME(EHOSTUNREACH), NAME(EALREADY),   NAME(EINPROGRESS),
    NAME(ESTALE),      NAME(EUCLEAN),      NAME(EREMOTEIO),  NAME(EDQUOT),
    NAME(ENOMEDIUM),   NAME(EMEDIUMTYPE),  NAME(ECANCELED),  NAME(ENOKEY),
    NAME(EKEYEXPIRED), NAME(EKEYREJECTED), NAME(EOWNERDEAD), NAME(ENOTRECOVERABLE),
    NAME(EHWPOISON),
};

const char *halo_error_name(int error)
{
    unsigned code = (unsigned)(error < 0 ? -error : error);
    if (code >= sizeof(names) / sizeof(names[0]) || !names[code])
        return "UNKNOWN";
    return names[code];
}

void halo_check_failed(const char *file, int line, const char *condition, const char *reason)
{
    fprintf(stderr, "halo: %s:%d: %s (%s)\n", file, line, reason, condition);
    abort();
}
