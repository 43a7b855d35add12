// SPDX-License-Identifier: GPL-2.0-only
/** Failure values of calls that return a number: negative, named and numbered as Linux's. */

export const EPERM = -1;
export const ENOENT = -2;
export const ESRCH = -3;
export const EINTR = -4;
export const EIO = -5;
export const E2BIG = -7;
export const EBADF = -9;
export const ECHILD = -10;
export const EAGAIN = -11;
export const ENOMEM = -12;
export const EACCES = -13;
export const EFAULT = -14;
export const EBUSY = -16;
export const EEXIST = -17;
export const ENODEV = -19;
export const EISDIR = -21;
export const EINVAL = -22;
export const ENFILE = -23;
export const EMFILE = -24;
export const ENOSPC = -28;
export const ENOSYS = -38;
