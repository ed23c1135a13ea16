import { shanghaiClock } from '../../accounts/quota/shanghai-time.js';
import type { AnyMessageDto } from './customer-service-message.dto.js';

/** What replies may name as `{time}`, `{date}`, `{account}` and `{keyword}`. */
export type Variables = Readonly<Record<'time' | 'date' | 'account' | 'keyword', string>>;

/**
 * @param keyword null where none was met
 * @param at of what is answered: asked again, the reply is the same
 */
export function variablesOf(account: string, keyword: string | null, at: Date): Variables {
  const { date, time } = shanghaiClock(at);
  return { date, time, account, keyword: keyword ?? '' };
}

/** The message with the variables in all that a person reads of it. Anything else in braces stays as it is. */
export function fillIn(message: AnyMessageDto, variables: Variables): AnyMessageDto {
  const fill = (text: string): string =>
    text.replaceAll(
      /\{(time|date|account|keyword)\}/g,
      (_whole, name: keyof Variables) => variables[name],
    );
  switch (message.type) {
    case 'text':
      return Object.assign({}, message, { text: fill(message.text) });
    case 'menu':
      return Object.assign({}, message, {
        head: fill(message.head),
        items: message.items.map((item) => Object.assign({}, item, { text: fill(item.text) })),
        tail: fill(message.tail),
      });
    case 'news':
    case 'link':
      return Object.assign({}, message, {
        title: fill(message.title),
        description: fill(message.description),
      });
    case 'video':
    case 'music':
      return Object.assign({}, message, {
        title: message.title && fill(message.title),
        description: message.description && fill(message.description),
      });
    case 'mini_program_page':
      return Object.assign({}, message, { title: fill(message.title) });
    default:
      return message;
  }
}
