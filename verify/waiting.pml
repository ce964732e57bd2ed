/* Waiting for a slot to change (src/wait.cc, src/futex.cc, include/atoll/detail/header_word.h), for spin.
   script/verify runs it, whole and with each of the mutations below.

   Writers write once each, at any time; waiters wait for the slot to differ from the stamp that they
   took; each of them may be killed at any step. A statement outside `atomic` is one load or one store, an
   `atomic` is one locked instruction. The kernel's futex is modelled with the lock of its queue.

   What is checked: when everything has come to rest (`timeout`), whoever is still asleep sleeps on a slot
   that has not changed; or a writer was killed between its write and its wake, and then the second look
   at the end of the slice finds the change. Memory is sequentially consistent here: store_buffer.pml looks
   at what [edge:wait-word] asks of the processor. */

#ifndef WRITERS
#define WRITERS 3
#endif
#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef DEATHS
#define DEATHS 1      /* of all processes together */
#endif
#ifndef ALARMS
#define ALARMS 1      /* sleepers that wake up for no reason: a signal, or a slice that ends early */
#endif
#ifndef VERSIONS
#define VERSIONS 64   /* after so many, the half of meta that the kernel looks at comes again */
#endif

#ifdef GOAL           /* a run that must fail, to show that the place is reached */
#define reached(place) assert(place != GOAL)
#else
#define reached(place) skip
#endif
#define SLEPT_AND_WOKEN 1   /* a waiter was asleep, and a writer woke him */
#define NOT_PUT_TO_SLEEP 2  /* the kernel found another value: a write came before the sleep */
#define SECOND_LOOK 3       /* pinned: the look after the mark found the change */
#define MARK_LOST 4         /* versioned: a write came between the waiter's look and his mark */
#define CLEARED_BY_OTHER 5  /* pinned: two writers saw the mark, one took it away */
#define RESCUED 6           /* a writer was killed before its wake, and the slice ended */
#define RESTED 7            /* nothing changed, and the waiter slept to the end */
#define DEAD_MARK 8         /* a waiter was killed; the next write wakes nobody, once */

/* ---- The slot ----------------------------------------------------------------------------------- */

byte meta;            /* versioned: {version, waiters}; the payload is swapped with it */
byte value;           /* pinned: the payload, which each write raises */
byte wait_word;       /* pinned: {sequence, waiters} */
#define MARK 1
#define FUTEX_OF(word) ((word) % (2 * VERSIONS))

#ifdef PINNED
#define futex_word wait_word
#else
#define futex_word meta
#endif

/* ---- The kernel --------------------------------------------------------------------------------- */

bool locked;                  /* the queue of the futex */
bool asleep[WAITERS];
bool woken[WAITERS];

/* Look at the word and join the queue, both under the lock that a waker takes. */
inline futex_wait(expected) {
#ifndef KERNEL_LOOKS_BEFORE_LOCK
  atomic { !locked -> locked = true }
#endif
  if
  :: FUTEX_OF(futex_word) != FUTEX_OF(expected) -> reached(NOT_PUT_TO_SLEEP)
  :: FUTEX_OF(futex_word) == FUTEX_OF(expected) ->
#ifdef KERNEL_LOOKS_BEFORE_LOCK
     atomic { !locked -> locked = true }
#endif
     asleep[me] = true
  fi;
  locked = false
}

/* No death in here: a process that is killed in a system call finishes it first. */
inline futex_wake_all() {
  atomic { !locked -> locked = true }
  atomic {
    wake(0);
    wake(WAITERS - 1);
    locked = false
  }
}
inline wake(sleeper) {
  if
  :: asleep[sleeper] -> asleep[sleeper] = false; woken[sleeper] = true; reached(SLEPT_AND_WOKEN)
  :: else
  fi
}

/* ---- Ghosts, and death -------------------------------------------------------------------------- */

byte deaths;
byte writers_begun, waiters_begun;
byte alarms;
bool waiting[WAITERS];        /* from the waiter's mark to his next look */
bool orphan[WAITERS];         /* meanwhile a writer was killed between its write and its wake */
bool waiter_died;

#define DIES atomic { deaths < DEATHS -> deaths++; goto killed }
#define step(instruction) if :: instruction :: DIES fi

/* ---- A writer ----------------------------------------------------------------------------------- */

proctype writer(byte me) {
  byte m;
  bool written;

  atomic { writers_begun == me -> writers_begun++ }   /* writers are alike: they begin in order */
#ifdef PINNED

#ifdef LOOK_BEFORE_WRITE
  step(m = wait_word);
  step(atomic { true -> value++; written = true });
#else
  /* [edge:pinned] [edge:wait-word] release: one locked instruction */
  step(atomic { true -> value++; written = true });
#ifdef NEVER_WAKE
  goto done;
#endif
  step(m = wait_word);                                /* is_waited(). [edge:wait-word] acquire */
#endif
  if
  :: (m & MARK) == 0 -> goto done
  :: m & MARK
  fi;
#ifdef WAKE_WITHOUT_CLEARING
  goto wake_all;
#endif
  step(m = wait_word);        /* clear_waited() looks again */
  if
  :: (m & MARK) == 0 -> atomic { reached(CLEARED_BY_OTHER); goto done }
  :: m & MARK
  fi;
  if
  :: atomic { wait_word == m -> wait_word = m + MARK }   /* the carry clears the mark */
  :: atomic { wait_word != m -> reached(CLEARED_BY_OTHER); goto done }
  :: DIES
  fi;

#else  /* versioned */

  step(m = meta);                            /* read(): text.pml looks into it */
#ifdef WAKE_BEFORE_SWAP
  if
  :: m & MARK -> futex_wake_all()
  :: (m & MARK) == 0
  fi;
#endif
  do
  :: atomic {                                /* [edge:sleep] acquire: finds the mark */
       meta == m ->
#ifdef KEEP_MARK
       meta = m + 2;
#else
       meta = (m | MARK) + 1;                /* the next version, and nobody waiting */
#endif
       written = (m & MARK) != 0;
       break
     }
  :: meta != m -> m = meta
  :: DIES
  od;
#if defined(NEVER_WAKE) || defined(WAKE_BEFORE_SWAP)
  goto done;
#endif
  if
  :: (m & MARK) == 0 -> goto done
  :: m & MARK
  fi;

#endif

wake_all:
  if
  :: true -> futex_wake_all()
  :: DIES
  fi;
  atomic {
    written = false;
    if
    :: waiter_died && !woken[0] && !woken[WAITERS - 1] -> reached(DEAD_MARK)
    :: else
    fi
  };
  goto done;
killed:
  atomic {
    if
    :: written -> orphan[0] = orphan[0] || waiting[0]; orphan[WAITERS - 1] = orphan[WAITERS - 1] || waiting[WAITERS - 1]
    :: else
    fi
  };
done:
  atomic { m = 0; written = false }
}

/* ---- A waiter ----------------------------------------------------------------------------------- */

proctype waiter(byte me) {
  byte stamp;       /* the version, or the pinned value, that he is content with */
  byte m;
#ifdef PINNED
#define CHANGED (value != stamp)
#else
#define CHANGED ((meta >> 1) != stamp)
#endif

  atomic {
    waiters_begun == me -> waiters_begun++;           /* waiters, too */
#ifdef PINNED
    stamp = value
#else
    stamp = meta >> 1
#endif
  };

again:
  if                                          /* look() */
  :: CHANGED -> goto done
  :: !CHANGED
  :: DIES
  fi;

#ifdef PINNED                                 /* announce() */
#ifdef LOOK_BEFORE_MARK
  if
  :: CHANGED -> goto done
  :: !CHANGED
  fi;
  step(atomic { wait_word = wait_word | MARK; m = wait_word });
#elif defined(SLEEP_WITHOUT_MARK)
  step(m = wait_word);
#else
  /* One locked instruction. [edge:wait-word] release */
  step(atomic { true -> wait_word = wait_word | MARK; m = wait_word; waiting[me] = true });
  if                                          /* [edge:wait-word] acquire */
  :: CHANGED -> atomic { reached(SECOND_LOOK); goto done }
  :: !CHANGED
  :: DIES
  fi;
#endif
#else
  step(atomic { true -> m = meta; waiting[me] = true });   /* read(): text.pml looks into it */
#ifndef SLEEP_WITHOUT_MARK
  do
  :: atomic { (m >> 1) != stamp -> m = 0; goto done }
  :: atomic { (m >> 1) == stamp && (m & MARK) -> break }
  :: (m >> 1) == stamp && (m & MARK) == 0 ->
     if
     :: atomic { meta == m -> meta = m | MARK; m = meta; break }   /* [edge:sleep] release */
     :: atomic { meta != m -> m = meta; reached(MARK_LOST) }
     :: DIES
     fi
  od;
#endif
#endif

  if
  :: true -> futex_wait(m)
  :: DIES
  fi;
  do
  :: !asleep[me] -> break                     /* woken, or never put to sleep */
  :: atomic { asleep[me] && alarms < ALARMS -> alarms++; asleep[me] = false; break }
  :: atomic { asleep[me] && deaths < DEATHS -> deaths++; asleep[me] = false; goto killed }
  :: atomic {                                 /* all others rest: the slice is over */
       timeout ->
       assert(!CHANGED || orphan[me]);       /* no wake-up was lost */
       asleep[me] = false;
       if
       :: CHANGED -> reached(RESCUED)
       :: !CHANGED -> reached(RESTED); goto done
       fi;
       break
     }
  od;
  atomic { m = 0; woken[me] = false; waiting[me] = false; orphan[me] = false }
  goto again;

killed:
  waiter_died = true;
done:
  atomic { m = 0; stamp = 0; woken[me] = false; waiting[me] = false; orphan[me] = false }
}

init {
  byte i;
  atomic {
    for (i : 0 .. WAITERS - 1) { run waiter(i) }
    for (i : 0 .. WRITERS - 1) { run writer(i) }
    i = 0
  }
}
