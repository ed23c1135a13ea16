import { applyDecorators } from '@nestjs/common';
import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsDate, IsOptional } from 'class-validator';

const TIME = /^(\d{4}-\d\d-\d\d)T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/;

/**
 * A time in a query, as a `Date`. One without a zone is refused: it would be another moment elsewhere. It has no example:
 * Swagger UI would ask with it, and two of them for the time between a moment and itself.
 */
export function QueryTime(description: string): PropertyDecorator {
  return applyDecorators(
    ApiPropertyOptional({ type: String, format: 'date-time', description }),
    IsOptional(),
    Transform(({ value }: { value: unknown }) => toTime(value) ?? value),
    IsDate({ message: ({ property }) => `${property} must be an ISO 8601 time with its zone` }),
  );
}

/** The same in a body, where it may be left out or null. @param example null where one that is tried out should have none */
export function BodyTime(
  description: string,
  example: string | null = '2026-11-22T08:00:00.000Z',
): PropertyDecorator {
  return applyDecorators(
    ApiPropertyOptional({
      type: String,
      format: 'date-time',
      nullable: true,
      description,
      example,
    }),
    IsOptional(),
    Transform(({ value }: { value: unknown }) => toTime(value) ?? value),
    IsDate({ message: ({ property }) => `${property} must be an ISO 8601 time with its zone` }),
  );
}

function toTime(value: unknown): Date | null {
  const day = typeof value === 'string' ? TIME.exec(value)?.[1] : undefined;
  // JavaScript takes the 31st of February for the 3rd of March.
  if (typeof value !== 'string' || day === undefined || !isDay(day)) return null;
  return new Date(value);
}

function isDay(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}
