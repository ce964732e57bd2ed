// Every function of the header word inlines; this file is where the header is compiled alone.
#include "atoll/detail/header_word.h"
