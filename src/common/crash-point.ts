import { channel } from 'node:diagnostics_channel';

/** The fault tests listen here, from outside of the build, and end the process at the point that they have chosen. */
const points = channel('wechat-channel:crash-point');

/** Names a moment at which a crash must do no harm. Nothing happens unless somebody listens. */
export function crashPoint(name: string): void {
  if (points.hasSubscribers) points.publish(name);
}
