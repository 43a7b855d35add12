export const setup = () => ({ w: new Int32Array(new SharedArrayBuffer(256)) });
function body({ w }) {
  const mine = Atomics.add(w, 0, 1);
  while (Atomics.load(w, 1) !== mine) Atomics.pause();
  w[4]++;
  Atomics.store(w, 1, mine + 1);
}
const n = Number(process.env.N ?? 2);
export const threads = Array(n).fill(body);
export const check = ({ w }) => w[4] === n;
