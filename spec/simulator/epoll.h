/* epoll.h: whether an instance of epoll has something to tell. */
#ifndef SIMULATOR_EPOLL_H
#define SIMULATOR_EPOLL_H

#include <stdbool.h>

bool epoll_is_ready(int epoll_fd);

#endif
