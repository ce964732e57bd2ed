/* [edge:wait-word] where stores wait in a buffer of their processor before others see them, as they do
   on x86-64: a waiter marks the wait word of a pinned slot, then looks at the payload; a writer writes
   the payload, then looks at the wait word. At least one of them has to see the other.

   The other models have no such buffers. This one has nothing but the two stores and the two loads, and
   shows what the sequentially consistent order of [edge:wait-word] is for. */

bool mark, payload;               /* what memory holds */
bool mark_left, payload_left;     /* the stores have left their buffers */
bool saw_mark, saw_payload;
byte finished;

proctype waiter() {
  /* The store is in the buffer, and leaves it when it likes: see drain(). */
#ifndef WAITER_WITHOUT_FENCE
  mark_left;                      /* a locked instruction goes on when the buffer is empty */
#endif
  saw_payload = payload;
  finished++
}

proctype writer() {
#ifndef WRITER_WITHOUT_FENCE
  payload_left;
#endif
  saw_mark = mark;
  finished++
}

/* The buffers: a store leaves sooner or later. */
proctype drain() {
  do
  :: atomic { !mark_left -> mark = true; mark_left = true }
  :: atomic { !payload_left -> payload = true; payload_left = true }
  :: mark_left && payload_left -> break
  od
}

init {
  atomic { run waiter(); run writer(); run drain() }
  finished == 2 -> assert(saw_payload || saw_mark)
}
