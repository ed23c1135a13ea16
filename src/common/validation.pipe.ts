import { type ArgumentMetadata, Injectable, ValidationPipe } from '@nestjs/common';
import type { ValidationError } from 'class-validator';

import { AppError, type FieldError } from './app-error.js';
import type { Text } from './text.js';
import { UnreadableBody } from './unreadable-body.js';

/** class-validator speaks English only: the Chinese beside it says the kind of fault, its message the exact rule. */
const FAULTS: Readonly<Record<string, string>> = {
  isString: '应为字符串',
  isIn: '取值不在允许范围内',
  isInt: '应为整数',
  isIso8601: '应为 ISO 8601 时间',
  isBoolean: '应为 true 或 false',
  isTokenUrl: '应为不含用户名密码的 http(s) 地址',
  areHeaders: '应为请求头的名称与值',
  isDate: '应为带时区的 ISO 8601 时间',
  isNotEmpty: '不能为空',
  isObject: '应为对象',
  isInstance: '应为文件',
  length: '长度不符',
  matches: '格式不符',
  min: '小于最小值',
  max: '大于最大值',
  maxLength: '过长',
  minLength: '过短',
  whitelistValidation: '未知字段',
};

/** Checks bodies (422) and queries (400) against their DTO; unknown body fields are refused, not dropped. */
@Injectable()
export class ApiValidationPipe extends ValidationPipe {
  constructor() {
    super({ transform: true, whitelist: true, forbidNonWhitelisted: true });
  }

  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    if (value instanceof UnreadableBody) throw value.problem;
    // A body left out is checked as an empty one: the answer then names the fields.
    const given = metadata.type === 'body' && this.toValidate(metadata) ? (value ?? {}) : value;
    try {
      return await super.transform(given, metadata);
    } catch (error) {
      if (!(error instanceof ValidationFaults)) throw error;
      throw new AppError(
        metadata.type === 'body' ? 'validation_failed' : 'invalid_query',
        error.fields,
      );
    }
  }

  override createExceptionFactory() {
    return (errors: ValidationError[] = []): unknown =>
      new ValidationFaults(errors.flatMap((error) => flattenFaults(error)));
  }
}

class ValidationFaults extends Error {
  constructor(readonly fields: readonly FieldError[]) {
    super('validation failed');
  }
}

/** What is wrong with a field and with those inside it. @param parent stands before their names */
export function flattenFaults(error: ValidationError, parent = ''): FieldError[] {
  const field = parent + error.property;
  const broken = Object.entries(error.constraints ?? {});
  // Of what is not there, every rule is broken.
  const isMissing = error.value === undefined && broken.length > 0;
  const own = isMissing
    ? [{ field, ...missing(error.property) }]
    : broken.map(([code, message]) => ({
        field,
        code: code.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
        detail: describe(code, message),
      }));
  return [...own, ...(error.children ?? []).flatMap((child) => flattenFaults(child, `${field}.`))];
}

function missing(property: string): Omit<FieldError, 'field'> {
  return { code: 'required', detail: { zh: '必填', en: `${property} is required` } };
}

function describe(code: string, message: string): Text {
  return { zh: `${FAULTS[code] ?? '取值有误'}（${message}）`, en: message };
}
