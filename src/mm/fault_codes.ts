// SPDX-License-Identifier: GPL-2.0-only
/** What a page fault is asked for, and what comes of it (enum fault_flag, vm_fault_t). */

/** The access may be tried again: it will succeed, or fault anew. */
export const FAULT_DONE = 0;
/** As FAULT_DONE; the page came from swap, or from a file of the host. */
export const FAULT_MAJOR = 1;
/** No VMA there, or none that may be stored to. */
export const FAULT_SIGSEGV = 2;
/** The process is the OOM killer's victim, or no page can be had. */
export const FAULT_OOM = 3;
/**
 * Beyond the end of the file that is mapped there, or the file or the swap device cannot be read.
 */
export const FAULT_SIGBUS = 4;

export const FAULT_FLAG_WRITE = 1;
/** First touch fills the page from (mm, vpn) instead of zeroing it, and dirties it. */
export const FAULT_FLAG_FILL = 2;
/** Nobody touched the page: swapoff brings it back, and it is not young. */
export const FAULT_FLAG_UNUSE = 4;
/** With FILL: pages around it that come along are zeroed. */
export const FAULT_FLAG_FILL_ONE = 8;
