/* The text protocol of src/text_buffers.*, include/atoll/detail/header_word.h and
   src/participants.*, for spin. script/verify runs it, whole and with each of the mutations below.

   Writers store, one after another or at once; any of them is killed at any step and comes back under a
   fresh number; a reader loads once, at any time; a waiter marks the header once, at any time. Each
   statement outside `atomic` is one load or one store, and each `atomic` is one locked instruction or
   one system call, with the bookkeeping (`ghost`) that the assertions need.

   Ghosts are not part of the protocol: no statement of it depends on one.

   What is checked: the asserts, and that nobody is stuck (spin's invalid end states).
   What is bounded: see docs/proof.md. Memory is sequentially consistent here: the orders behind the
   labels [edge:...] are taken for granted, and docs/algorithm.md argues them. */

#ifndef K
#define K 2          /* buffers of the slot */
#endif
#ifndef WRITERS
#define WRITERS 3
#endif
#ifndef STORES
#define STORES 1     /* of each writer; a killed one comes back and makes up for it */
#endif
#ifndef DEATHS
#define DEATHS 1     /* of all writers together */
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef MARKS
#define MARKS 0      /* by the waiter */
#endif
#ifndef SHORTS
#define SHORTS 0     /* writers that store a short text, which lies in the header */
#endif

#ifdef GOAL          /* a run that must fail, to show that the place is reached */
#define reached(place) assert(place != GOAL)
#else
#define reached(place) skip
#endif
#define TAKE_OVER 1          /* a claim of a dead writer is taken over */
#define LOOKED_TWICE 2       /* the second look finds the buffer current */
#define SWAP_LOST 3          /* a writer swaps again, with the same copy */
#define WAITED 4             /* a writer finds no buffer, waits, and gets one */
#define META_MOVED 5         /* a reader starts over: the header moved before its copy */
#define SEQUENCE_MOVED 6     /* a reader starts over: its buffer was overwritten */
#define OUTRUN 7             /* a reader returns a text that is no longer current */
#define HEADER_MOVED 8       /* a reader sees two metas, and reads the header again */
#define TAKEN_TWICE 9        /* the taker-over dies, and its claim is taken over in turn */
#define PUBLISHED_DEAD 10    /* the taken buffer turns out to be current: its owner died late */
#define CAME_BACK 11         /* a killed writer stores under a fresh number */
#define MARK_CLEARED 12      /* a swap replaces a header with the waiters bit */

/* ---- The segment -------------------------------------------------------------------------------- */

/* The header: two words that change together. meta = {version, short, waiters}. */
byte payload;        /* the buffer, or the text itself if it is short */
byte meta;
#define MARK 1
#define SHORT 2
#define SUCCESSOR(m, is_short) ((m & ~(MARK | SHORT)) + 4 + ((is_short) -> SHORT : 0))
#define NAMES(m, p, b) ((m & SHORT) == 0 && p == b)
#define VERSION(m) (m >> 2)

byte owner[K];       /* 0 or a participant's number */
byte sequence[K];
byte words[2 * K];   /* each buffer's text: two words, which hold its name twice if it is whole */

/* ---- The kernel: who holds the lock on the byte of a number ------------------------------------- */

#define NUMBERS (WRITERS + DEATHS)
bool lives[NUMBERS + 1];
byte numbers = WRITERS;   /* the counter that numbers are drawn from */
byte number[WRITERS];     /* each writer's, 0 while it has none */
byte deaths;

/* ---- Ghosts ------------------------------------------------------------------------------------- */

byte holder[K];      /* the living writer that claims the buffer, plus 1 */
byte now;            /* the text that is current */
bool reading;
short fresh;         /* the texts that were current since the load began, a bit each */
byte begun;

#define FIRST_TEXT 0
#define GARBAGE 255
#define TEXT (1 + (number[me] - 1) * STORES + stored)   /* no two stores write the same */

/* ---- Readers and writers alike ------------------------------------------------------------------ */

/* One instruction or system call of a process that may be killed before it. */
#define step(instruction) if :: instruction :: DIES fi

/* read(): both halves of the header as they were at one instant; then `also`, which is local.
   [edge:publish] acquire */
#ifdef WHOLE_READS
#define read_header(also) do :: atomic { m = meta; p = payload; also; break } :: DIES od
#elif defined(NO_META_COMPARE)
#define read_header(also) do :: m = meta; step(atomic { p = payload; also }); break :: DIES od
#else
#define read_header(also)                                     \
  do                                                          \
  :: m = meta;                                                \
     step(p = payload);                                       \
     if                                                       \
     :: atomic { m == meta -> also; break }                   \
     :: atomic { m != meta -> reached(HEADER_MOVED) }         \
     :: DIES                                                  \
     fi                                                       \
  :: DIES                                                     \
  od
#endif

/* ---- A writer ----------------------------------------------------------------------------------- */

#define DIES atomic { deaths < DEATHS -> deaths++; goto killed }

/* SIGKILL. What the writer was in the middle of stays as it is, and the kernel drops its lock. That is
   one step, for a process whose lock is still there looks like one that is slow. */
inline die() {
  lives[number[me]] = false;
  forget_claim(0); forget_claim(1); forget_claim(K - 1);
  m = 0; p = 0; b = 0; i = 0; from = 0; ask = false
}
inline forget_claim(buffer) { holder[buffer] = (holder[buffer] == me + 1 -> 0 : holder[buffer]) }

/* The compare-and-swap of try_claim(), where it succeeds. [edge:claim] acquire */
inline claim() {
  assert(holder[b] == 0);    /* no buffer has two living owners */
  owner[b] = number[me];
  holder[b] = me + 1;
  if
  :: from == 0
  :: from != 0 && from <= WRITERS -> reached(TAKE_OVER)
  :: from > WRITERS -> reached(TAKEN_TWICE)
  fi
}

/* [edge:claim] release */
inline release_claim() {
  owner[b] = 0;
  forget_claim(b)
}

/* Only the owner writes the sequence, so its load and its store may be one step.
   [edge:reuse] release */
#define begin_overwrite() step(sequence[b] = sequence[b] + 1)

#define copy_word(which) \
  step(atomic { assert(!NAMES(meta, payload, b)); words[2 * b + which] = TEXT })
/*                     the current buffer is never written */

/* try_claim_one() goes through the buffers b, i of them, beginning after the current one. */
inline skip_current() {
  do
  :: i < K && NAMES(m, p, b) -> next_buffer()
  :: else -> break
  od
}
inline next_buffer() { b = (b + 1) % K; i++ }

/* A buffer that the next pass over all would get. A writer whose pass has failed goes on when there is
   one; the passes that it makes until then change nothing. */
#ifdef NEVER_TAKE_OVER
#define FREE(buffer) (owner[buffer] == 0 && !NAMES(meta, payload, buffer))
#else
#define FREE(buffer) ((owner[buffer] == 0 || !lives[owner[buffer]]) && !NAMES(meta, payload, buffer))
#endif

/* stage() without the copy: claims a buffer that is not current, b. The first pass does not ask the
   kernel whether an owner lives; those after it do. */
inline take_buffer() {
pass:
  read_header(i = 0; b = (VERSION(m) + 1) % K; skip_current());
next:
  if
  :: atomic {
       i < K ->
       from = owner[b];
#ifdef NO_CLAIM
       from = 0; owner[b] = 0;
#endif
       if
       :: from == 0 -> goto try
       :: from != 0 && ask
       :: from != 0 && !ask -> next_buffer(); skip_current(); goto next
       fi
     }
  :: atomic { i == K && (FREE(0) || FREE(1) || FREE(K - 1)) -> ask = true; reached(WAITED); goto pass }
  :: DIES
  fi;
  if                                   /* may_live(): one F_OFD_GETLK */
#ifdef TAKE_OVER_LIVE
  :: true
#elif defined(NEVER_TAKE_OVER)
  :: atomic { true -> next_buffer(); skip_current(); goto next }
#else
  :: atomic { lives[from] -> next_buffer(); skip_current(); goto next }
  :: !lives[from]
#endif
  :: DIES
  fi;
try:
#ifdef CLAIM_BY_STORE
  if
  :: owner[b] != from -> next_buffer(); skip_current(); goto next
  :: owner[b] == from
  fi;
  step(atomic { true -> claim() });
#else
  if
  :: atomic { owner[b] != from -> next_buffer(); skip_current(); goto next }
  :: atomic { owner[b] == from -> claim() }
  :: DIES
  fi;
#endif
#ifdef SEQUENCE_BEFORE_SECOND_LOOK
  begin_overwrite();
#endif
#ifdef NO_SECOND_LOOK
  goto claimed;
#endif
#ifdef TAKE_OVER_WITHOUT_SECOND_LOOK
  if
  :: from != 0 -> goto claimed
  :: from == 0
  fi;
#endif
  read_header(
    if
    :: !NAMES(m, p, b) -> m = 0; p = 0; i = 0; from = 0; ask = false; goto claimed
    :: else
    fi
  );
  step(atomic {
    release_claim();
    reached(LOOKED_TWICE);
    if
    :: from != 0 -> reached(PUBLISHED_DEAD)
    :: else
    fi;
    from = 0; next_buffer(); skip_current()
  });
  goto next;
claimed:
}

inline copy_text() {
#if !defined(NO_SEQUENCE) && !defined(SEQUENCE_AFTER_COPY) && !defined(SEQUENCE_BEFORE_SECOND_LOOK)
  begin_overwrite();
#endif
  copy_word(0);
  copy_word(1);
#ifdef SEQUENCE_AFTER_COPY
  begin_overwrite();
#endif
}

/* [edge:publish] release; [edge:sleep] acquire, where a waiter has marked the header. What becomes of
   the waiter is in waiting.pml. */
#define swap_in(value, is_short)                                                  \
  read_header(skip);                                                              \
  do                                                                              \
  :: atomic { HEADER_IS(m, p) -> swap_header(value, is_short); break }            \
  :: atomic { !HEADER_IS(m, p) -> m = meta; p = payload; reached(SWAP_LOST) }     \
  :: DIES                                                                         \
  od;                                                                             \
  SECOND_HALF(is_short)

#define HEADER_IS(m, p) (meta == m && payload == p)

inline swap_header(value, is_short) {
  if
  :: meta & MARK -> reached(MARK_CLEARED)
  :: else
  fi;
  payload = value;
#ifndef SPLIT_SWAP
  swap_meta(is_short)
#endif
}

inline swap_meta(is_short) {
#ifdef NO_VERSION
  meta = SUCCESSOR(m, is_short) - 4;
#else
  meta = SUCCESSOR(m, is_short);
#endif
  now = TEXT;
  fresh = (reading -> fresh | (1 << now) : 0);
  m = 0; p = 0
}

#ifdef SPLIT_SWAP
#define SECOND_HALF(is_short) step(atomic { true -> swap_meta(is_short) })
#else
#define SECOND_HALF(is_short) skip
#endif

/* Participant::join() of the process that takes the killed one's place. */
inline come_back() {
#ifdef REUSE_AFTER_SWEEP
  b = 0;
  do
  :: atomic { b < K -> owner[b] = (owner[b] == number[me] -> 0 : owner[b]); b++ }
  :: atomic { b == K -> b = 0; break }
  od;
#endif
#if !defined(REUSE_NUMBERS) && !defined(REUSE_AFTER_SWEEP)
  atomic { numbers++; number[me] = numbers }   /* one fetch_add */
#endif
#ifndef NUMBER_BEFORE_LOCK
  atomic { lives[number[me]] = true; reached(CAME_BACK) }   /* one F_OFD_SETLK */
#endif
}

proctype writer(byte me) {
  byte stored;
  byte m, p;      /* a header as it was read */
  byte b, i;      /* the buffer, the how manieth it is that was looked at */
  byte from;      /* its owner, as it was read */
  bool ask;       /* whether owners live */

  atomic { begun == me -> begun++ }   /* writers are alike, so let them begin in order */
store:
  if
  :: me < SHORTS -> swap_in(TEXT, true)
  :: me >= SHORTS ->
     take_buffer();
#ifdef PUBLISH_BEFORE_COPY
     swap_in(b, false);
     copy_text();
#else
     copy_text();
#ifdef RELEASE_BEFORE_PUBLISH
     step(atomic { true -> release_claim() });
#endif
     swap_in(b, false);
#endif
#if !defined(NEVER_RELEASE) && !defined(RELEASE_BEFORE_PUBLISH)
     step(atomic { true -> release_claim() })
#endif
  fi;
  atomic {
    b = 0; stored++;
    if
    :: stored < STORES -> goto store
    :: stored >= STORES -> goto done
    fi
  };
killed:
  atomic { die() };
  come_back();
  goto store;
done:
}

/* ---- The reader and the waiter ------------------------------------------------------------------ */

#undef DIES
#define DIES false      /* neither holds anything, so their death is that they stop */

/* load(), begun at any time. A reader writes nothing, so one load stands for any number of them. */
proctype reader() {
  byte m, p, s;
  byte first_word, second_word;

  atomic { true -> reading = true; fresh = 1 << now }
again:
  read_header(if :: m & SHORT -> first_word = p; second_word = p; goto done :: else fi);
  s = sequence[p];                                    /* [edge:reuse] acquire */
#ifndef NO_META_REREAD
  if
  :: m == meta
  :: atomic { m != meta -> reached(META_MOVED); s = 0; goto again }
  fi;
#endif
  first_word = words[2 * p];
  second_word = words[2 * p + 1];
#ifndef NO_LAST_LOOK
  if                                                  /* [edge:reuse] acquire */
  :: s == sequence[p]
  :: atomic {
       s != sequence[p] ->
       reached(SEQUENCE_MOVED);
       s = 0; first_word = 0; second_word = 0;
       goto again
     }
  fi;
#endif
done:
  atomic {
    assert(first_word == second_word);                /* no torn text */
    assert((fresh >> first_word & 1) == 1);           /* current at some moment of the load */
    if
    :: first_word != now -> reached(OUTRUN)
    :: else
    fi;
    reading = false; fresh = 0; m = 0; p = 0; s = 0; first_word = 0; second_word = 0
  }
}

#if MARKS > 0
/* A waiter as the text protocol sees him: somebody who swaps the header for one that differs in the
   waiters bit alone. */
proctype waiter() {
  byte m, p;

  read_header(skip);
  atomic {                                            /* [edge:sleep] release */
    if
    :: HEADER_IS(m, p) -> meta = m | MARK
    :: else
    fi;
    m = 0; p = 0
  }
}
#endif

init {
  byte i;
  atomic {
    for (i : 0 .. 2 * K - 1) { words[i] = GARBAGE }
    words[0] = FIRST_TEXT; words[1] = FIRST_TEXT;     /* in buffer 0, which the header names */
    for (i : 0 .. WRITERS - 1) { number[i] = i + 1; lives[i + 1] = true; run writer(i) }
#if READERS > 0
    run reader();
#endif
#if MARKS > 0
    run waiter();
#endif
    i = 0
  }
}
